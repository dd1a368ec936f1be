"""A Gaussian process over choices: what a searcher believes of networks that nobody has measured
(Rasmussen and Williams 2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from evoray.variation import GeneKinds
from searchspaces.base import Choices

Floats = NDArray[np.float64]

_FITTED_ROWS = (
    250  # the hyper-parameters are fitted to at most so many rows; the predictions use all
)
_FIT_STEPS = 30
_BLOCK = 4096
_JITTER = 1e-8
# of an ordered gene's distance that grows with the number of options between; the rest is for being
# different
_RANK_SHARE = 0.7
# Log-normal priors of the length weights and of the noise share: a network's genes all matter
# somewhat, a measurement is mostly signal.
_WEIGHT_PRIOR, _NOISE_PRIOR = (np.log(0.7), 1.2), (np.log(0.02), 1.5)
_WEIGHT_BOUNDS, _NOISE_BOUNDS = (-5.0, 3.0), (-9.0, 1.0)


class GaussianProcess:
    """exp(-sum of weighted distances, gene by gene) plus noise; every gene has its own weight,
    learnt by marginal likelihood.

    The distance of a gene without order is 0 or 1; of one with order it grows with the steps
    between. Rows may come from several sources, such as an earlier run: the source is one more
    gene, so that the data decide how much one says about the other.

    Attributes:
        weights: (g + 2,) logarithms: the genes', the source's and the noise's; None before the
            first fit.
    """

    def __init__(self, kinds: GeneKinds) -> None:
        self._kinds = kinds
        self.weights: Floats | None = None

    def fit(
        self,
        choices: Choices,
        values: Floats,
        sources: NDArray[np.int64],
        rng: np.random.Generator,
        *,
        learn: bool,
    ) -> None:
        """Takes (n, g) rows with their (n,) values; `learn` fits the weights anew, else only the
        predictions change.
        """
        self._mean, self._scale = self._standard(values, sources)
        standard = (values - self._mean[sources]) / self._scale[sources]
        if learn or self.weights is None:
            rows = np.sort(rng.permutation(len(choices))[:_FITTED_ROWS])
            self.weights = self._learnt(choices[rows], standard[rows], sources[rows])
        self._features = self._weighted(choices, sources)
        noise = np.exp(self.weights[-1])
        kernel = _kernel(self._features, self._features).astype(np.float64)
        self._factor = np.linalg.cholesky(kernel + (noise + _JITTER) * np.eye(len(kernel)))
        self._solved = cho_solve((self._factor, True), standard)
        self._amplitude = max(float(standard @ self._solved) / len(standard), 1e-6)
        self._factor32 = self._factor.astype(np.float32)

    def predict(self, choices: Choices) -> tuple[Floats, Floats]:
        """(p,) means and (p,) standard deviations of measurements of these rows by source 0, noise
        included.
        """
        assert self.weights is not None
        noise = float(np.exp(self.weights[-1]))
        mean, variance = np.empty(len(choices)), np.empty(len(choices))
        for start in range(0, len(choices), _BLOCK):
            block = slice(start, start + _BLOCK)
            rows = choices[block]
            kernel = _kernel(
                self._weighted(rows, np.zeros(len(rows), dtype=np.int64)), self._features
            )
            mean[block] = kernel.astype(np.float64) @ self._solved
            explained = solve_triangular(self._factor32, kernel.T, lower=True, check_finite=False)
            variance[block] = np.maximum(
                1.0 + noise - np.einsum("ij,ij->j", explained, explained), noise
            )
        return self._mean[0] + self._scale[0] * mean, self._scale[0] * np.sqrt(
            self._amplitude * variance
        )

    def _standard(self, values: Floats, sources: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Mean and deviation of each source, so that sources may differ in level and scale."""
        mean, scale = np.zeros(int(sources.max()) + 1), np.ones(int(sources.max()) + 1)
        for source in np.unique(sources):
            own = values[sources == source]
            mean[source], scale[source] = own.mean(), own.std() or 1.0
        return mean, scale

    def _columns(self, choices: Choices, sources: NDArray[np.int64]) -> list[NDArray[np.float32]]:
        """Columns for each gene, and last for the source, whose squared differences sum to the
        gene's distance.
        """
        columns = []
        for i, count in enumerate(self._kinds.counts.tolist()):
            column = choices[:, i]
            if i in self._kinds.fine:
                columns.append((column[:, None] / np.float32(count - 1)).astype(np.float32))
                continue
            same = np.eye(count, dtype=np.float32)[column] * np.float32(np.sqrt(0.5))
            if self._kinds.ordered[i] and count > 2:
                steps = (column[:, None] > np.arange(count - 1)).astype(np.float32) * np.float32(
                    np.sqrt(_RANK_SHARE / (count - 1))
                )
                same = np.concatenate(
                    [same * np.float32(np.sqrt(1.0 - _RANK_SHARE)), steps], axis=1
                )
            columns.append(same)
        columns.append(sources[:, None].astype(np.float32))
        return columns

    def _weighted(self, choices: Choices, sources: NDArray[np.int64]) -> NDArray[np.float32]:
        assert self.weights is not None
        roots = np.exp(0.5 * self.weights[:-1]).astype(np.float32)
        return np.concatenate(
            [c * root for c, root in zip(self._columns(choices, sources), roots, strict=True)],
            axis=1,
        )

    def _learnt(self, choices: Choices, values: Floats, sources: NDArray[np.int64]) -> Floats:
        distances = np.stack([_squared(c, c) for c in self._columns(choices, sources)]).astype(
            np.float64
        )
        start = (
            np.append(np.full(len(distances), _WEIGHT_PRIOR[0]), _NOISE_PRIOR[0])
            if self.weights is None
            else self.weights
        )
        bounds = [_WEIGHT_BOUNDS] * len(distances) + [_NOISE_BOUNDS]
        found = minimize(
            _negative_log_posterior,
            start,
            args=(distances, values),
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": _FIT_STEPS},
        )
        return np.asarray(found.x, dtype=np.float64)


def _negative_log_posterior(
    weights: Floats, distances: Floats, values: Floats
) -> tuple[float, Floats]:
    """Marginal likelihood with the amplitude profiled out, and the priors; with its gradient."""
    num = len(values)
    scales, noise = np.exp(weights[:-1]), np.exp(weights[-1])
    kernel = np.exp(-np.tensordot(scales, distances, 1))
    factor = np.linalg.cholesky(kernel + (noise + _JITTER) * np.eye(num))
    solved = cho_solve((factor, True), values)
    fit = float(values @ solved)
    inverse = cho_solve((factor, True), np.eye(num))
    change = 0.5 * inverse - (0.5 * num / fit) * np.outer(solved, solved)
    by_kernel = change * kernel
    gradient = np.append(-np.tensordot(distances, by_kernel, 2) * scales, np.trace(change) * noise)
    value = 0.5 * num * np.log(fit / num) + float(np.log(np.diag(factor)).sum())
    centre = np.append(np.full(len(scales), _WEIGHT_PRIOR[0]), _NOISE_PRIOR[0])
    width = np.append(np.full(len(scales), _WEIGHT_PRIOR[1]), _NOISE_PRIOR[1])
    away = (weights - centre) / width
    return value + 0.5 * float(away @ away), gradient + away / width


def _squared(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, m) squared distances of rows."""
    norms = (
        np.einsum("ij,ij->i", first, first)[:, None] + np.einsum("ij,ij->i", second, second)[None]
    )
    return np.asarray(np.maximum(norms - 2.0 * (first @ second.T), 0.0), dtype=np.float32)


def _kernel(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    distance = _squared(first, second)
    return np.exp(np.negative(distance, out=distance), out=distance)


def compressed(losses: Floats, known: Floats) -> Floats:
    """Losses as multiples of the spread of the better half of `known`, from its median on
    compressed by a logarithm.

    A few networks that are infeasible, such as those at chance level, would otherwise be all that a
    model explains.
    """
    best, middle = np.quantile(known, [0.0, 0.5])
    scaled = (losses - middle) / (
        max(middle - best, 1e-12) if middle > best else (np.ptp(known) or 1.0)
    )
    return np.asarray(np.where(scaled > 1.0, 1.0 + np.log1p(np.maximum(scaled - 1.0, 0.0)), scaled))


def as_json(weights: Floats | None) -> list[float] | None:
    """Weights as a list, for `from_json` to read."""
    return None if weights is None else weights.tolist()


def from_json(weights: Sequence[Any] | None) -> Floats | None:
    """Learnt weights as they were."""
    return None if weights is None else np.array(weights, dtype=np.float64)
