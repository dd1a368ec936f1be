"""The Frechet distance between two Gaussians (Heusel et al. 2017, arXiv:1706.08500), without a
general matrix square root.

tr (S1 S2)^(1/2) is the sum of the roots of the eigenvalues of r S2 r, where r is the symmetric root
of S1: a symmetric problem that never turns complex. r is computed once a reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from objectives.inception.moments import Array, Moments


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean and covariance of the features of a set of images.

    Attributes:
        mean: (d,)
        covariance: (d, d) symmetric.
    """

    mean: Array
    covariance: Array

    def __post_init__(self) -> None:
        d = len(self.mean)
        if self.mean.shape != (d,) or self.covariance.shape != (d, d):
            raise ValueError(
                f"a Gaussian needs a mean (d,) and a covariance (d, d), got {self.mean.shape} and "
                f"{self.covariance.shape}"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ValueError(
                "a Gaussian's mean or covariance is NaN or infinite: the reference statistics are "
                "damaged, compute them anew"
            )

    @staticmethod
    def of(moments: Moments) -> Gaussian:
        """Builds the Gaussian from the moments of at least two images."""
        return Gaussian(moments.mean, moments.covariance)

    @cached_property
    def root(self) -> Array:
        """(d, d) symmetric root of the covariance; about a second at 2048 features, kept."""
        values, vectors = np.linalg.eigh(self.covariance)
        root: Array = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        return root


def frechet_distance(reference: Gaussian, moments: Moments) -> float:
    """||m1 - m2||^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2), at least 0.

    Raises:
        ValueError: The dimensions differ or there are fewer than two images.
    """
    if len(reference.mean) != moments.dimension:
        raise ValueError(
            f"a reference of {len(reference.mean)} features does not fit images of "
            f"{moments.dimension}: use one extractor"
        )
    if moments.count < 2:
        raise ValueError(f"a Frechet distance needs at least 2 images, got {moments.count}")
    rows = moments.centred_rows
    if rows is not None:
        trace = float(np.einsum("ij,ij->", rows, rows)) / (moments.count - 1)
        cross = trace_of_rows(reference, rows)
    else:
        covariance = moments.covariance
        trace, cross = float(np.trace(covariance)), trace_term(reference, covariance)
    apart = float(np.sum((reference.mean - moments.mean) ** 2))
    return max(0.0, apart + float(np.trace(reference.covariance)) + trace - 2 * cross)


def trace_term(reference: Gaussian, covariance: Array) -> float:
    """tr (S1 S2)^(1/2) of the reference's covariance and another."""
    inner = reference.root @ covariance @ reference.root
    return _sum_of_roots(inner)


def trace_of_rows(reference: Gaussian, centred_rows: Array) -> float:
    """The same for the covariance of n centred rows (n, d), n below d: an n x n problem with the
    same eigenvalues.
    """
    return _sum_of_roots(
        centred_rows @ reference.covariance @ centred_rows.T / (len(centred_rows) - 1)
    )


def _sum_of_roots(matrix: Array) -> float:
    values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
    return float(np.sqrt(np.clip(values, 0, None)).sum())
