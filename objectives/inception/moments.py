"""Mean and covariance of features that come in batches: float64, mergeable, without keeping the
features once they are many.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(eq=False)
class Moments:
    """Count, mean and scatter of (n, d) rows, by the pairwise update of Chan, Golub and LeVeque
    1983.

    Up to d / 2 rows are kept as they are: their covariance has so low a rank that the Frechet
    distance is cheaper from them.

    Attributes:
        dimension: d.
        count: n so far.
    """

    dimension: int
    count: int = 0
    _mean: Array = field(init=False)
    _scatter: Array | None = field(
        init=False, default=None
    )  # (d, d) sum of centred products; None while the rows are kept
    _rows: list[Array] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        if self.dimension < 1:
            raise ValueError(f"moments need at least 1 feature, got {self.dimension}")
        self._mean = np.zeros(self.dimension)

    def add(self, features: NDArray[np.floating]) -> None:
        """Takes (b, d) rows.

        Raises:
            ValueError: The rows have another shape, or a value is not finite.
        """
        rows = np.asarray(features, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:
            raise ValueError(
                f"features must have shape (n, {self.dimension}), got {rows.shape}: use one "
                "extractor for all images"
            )
        if not np.isfinite(rows).all():
            raise ValueError(
                "a feature is NaN or infinite: the images or the extractor's weights are damaged"
            )
        if len(rows) == 0:
            return
        if self._scatter is None and self.count + len(rows) <= self.dimension // 2:
            self._rows.append(rows.copy())
            self.count += len(rows)
            return
        self._fold()
        mean = rows.mean(axis=0)
        centred = rows - mean
        self._join(len(rows), mean, centred.T @ centred)

    def merge(self, other: Moments) -> None:
        """Takes what another process has seen; `other` stays as it is."""
        if other.dimension != self.dimension:
            raise ValueError(
                f"moments of {other.dimension} features cannot join those of {self.dimension}: use "
                "one extractor"
            )
        if other._scatter is None:
            for rows in other._rows:
                self.add(rows)
            return
        self._fold()
        self._join(other.count, other._mean, other._scatter)

    @property
    def mean(self) -> Array:
        """(d,)"""
        return np.concatenate(self._rows).mean(axis=0) if self._rows else self._mean

    @property
    def covariance(self) -> Array:
        """(d, d), unbiased.

        Raises:
            ValueError: There are fewer than two rows.
        """
        if self.count < 2:
            raise ValueError(f"a covariance needs at least 2 images, got {self.count}")
        centred = self.centred_rows
        scatter = centred.T @ centred if centred is not None else self._scatter
        assert scatter is not None
        return scatter / (self.count - 1)

    @property
    def centred_rows(self) -> Array | None:
        """(n, d) rows less their mean, while they are kept."""
        return np.concatenate(self._rows) - self.mean if self._rows else None

    def _fold(self) -> None:
        """Folds the kept rows into a scatter."""
        if self._scatter is not None:
            return
        rows, self._rows = self._rows, []
        self._scatter, self.count = np.zeros((self.dimension, self.dimension)), 0
        if rows:
            every = np.concatenate(rows)
            mean = every.mean(axis=0)
            self._join(len(every), mean, (every - mean).T @ (every - mean))

    def _join(self, count: int, mean: Array, scatter: Array) -> None:
        assert self._scatter is not None
        total = self.count + count
        apart = mean - self._mean
        if not self._scatter.flags.writeable:  # it came through an object store
            self._scatter = self._scatter.copy()
        self._scatter += scatter
        self._scatter += np.outer(apart, apart * (self.count * count / total))
        self._mean = self._mean + apart * (count / total)
        self.count = total


def moments_of(batches: Iterable[NDArray[np.floating]], dimension: int) -> Moments:
    """Moments of all rows of all batches."""
    found = Moments(dimension)
    for batch in batches:
        found.add(batch)
    return found
