"""Inception score and kernel distance, in parts that merge."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectives.inception.moments import Array


class InceptionScore:
    """exp of the mean KL divergence between p(y | x) and p(y) (Salimans et al. 2016,
    arXiv:1606.03498), by consecutive splits.

    Of each split it keeps the sum of p log p and of p, so several processes can each see a stretch
    of the images and be merged.
    """

    def __init__(self, total: int, num_classes: int, *, splits: int = 10, start: int = 0) -> None:
        """
        Args:
            total: Images over all processes; split i has those from i total / splits on.
            num_classes: Number of classes of the extractor.
            splits: Number of scores that are averaged.
            start: Index of the first image that this object will see.
        """
        if splits < 1 or total < 2 * splits:
            raise ValueError(
                f"an inception score needs at least 2 images in each of {splits} splits, got "
                f"{total}: take more or fewer splits"
            )
        self._bounds = np.array([i * total // splits for i in range(splits + 1)])
        self._next = start
        self._entropies, self._counts = np.zeros(splits), np.zeros(splits, dtype=np.int64)
        self._sums = np.zeros((splits, num_classes))

    def add(self, logits: NDArray[np.floating]) -> None:
        """Takes (b, classes) logits of the next images."""
        values = np.asarray(logits, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self._sums.shape[1]:
            raise ValueError(
                f"logits must have shape (n, {self._sums.shape[1]}), got {values.shape}"
            )
        if self._next + len(values) > self._bounds[-1]:
            raise ValueError(
                f"{self._next + len(values)} images were given, {self._bounds[-1]} announced"
            )
        values = values - values.max(axis=1, keepdims=True)
        logs = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
        shares = np.exp(logs)
        split = (
            np.searchsorted(
                self._bounds, np.arange(self._next, self._next + len(values)), side="right"
            )
            - 1
        )
        np.add.at(self._entropies, split, (shares * logs).sum(axis=1))
        np.add.at(self._sums, split, shares)
        np.add.at(self._counts, split, 1)
        self._next += len(values)

    def merge(self, other: InceptionScore) -> None:
        """Takes what another process has seen of the same images."""
        if not np.array_equal(self._bounds, other._bounds) or self._sums.shape != other._sums.shape:
            raise ValueError(
                "inception scores of different totals, splits or classes cannot be merged"
            )
        self._entropies = (
            self._entropies + other._entropies
        )  # not in place: what came through an object store is read-only
        self._sums = self._sums + other._sums
        self._counts = self._counts + other._counts

    def value(self) -> tuple[float, float]:
        """Mean and population standard deviation over the splits.

        Raises:
            ValueError: Images are missing or came twice.
        """
        expected = np.diff(self._bounds)
        if not np.array_equal(self._counts, expected):
            raise ValueError(
                f"the inception score's splits need {expected.tolist()} images, they have got "
                f"{self._counts.tolist()}"
            )
        marginal = self._sums / self._counts[:, None]
        negative_entropy = (marginal * np.log(np.where(marginal > 0, marginal, 1.0))).sum(axis=1)
        scores = np.exp(self._entropies / self._counts - negative_entropy)
        return float(scores.mean()), float(scores.std())


def kernel_distance(
    one: NDArray[np.floating], other: NDArray[np.floating], *, block: int = 2048
) -> float:
    """Unbiased squared MMD with the kernel (x.y / d + 1)^3 (Binkowski et al. 2018,
    arXiv:1801.01401), all rows at once.

    May be slightly below 0. Works on blocks of rows, so n x n kernels are never whole in memory.
    """
    x, y = (np.asarray(rows, dtype=np.float64) for rows in (one, other))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise ValueError(
            f"a kernel distance needs two sets of at least 2 rows of equal length, got {x.shape} "
            f"and {y.shape}"
        )
    n, m = len(x), len(y)
    within = (_kernel_sum(x, x, block) - _diagonal(x)) / (n * (n - 1)) + (
        _kernel_sum(y, y, block) - _diagonal(y)
    ) / (m * (m - 1))
    return float(within - 2 * _kernel_sum(x, y, block) / (n * m))


def _kernel_sum(x: Array, y: Array, block: int) -> float:
    total = 0.0
    for i in range(0, len(x), block):
        for j in range(0, len(y), block):
            total += float(((x[i : i + block] @ y[j : j + block].T / x.shape[1] + 1.0) ** 3).sum())
    return total


def _diagonal(x: Array) -> float:
    return float((((x * x).sum(axis=1) / x.shape[1] + 1.0) ** 3).sum())
