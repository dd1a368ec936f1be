"""Drawing networks in a window of a cost without trying: where costs add up along a chain of parts,
what is left of a budget tells each part.

A forward pass adds up the distribution of the cost of the first parts (dynamic programming over
bins, convolved by FFT); a backward pass draws one part after the other, given what the later ones
cost. The bins are a little coarse, so a draw may miss the window by a few of them: whoever wants it
exactly keeps what fits, and is left with the uniform distribution over the window.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Choices, CostChain, CostTable, SearchSpace

_BINS_A_SPAN = 24
_MOST_BINS = 1 << 12
_ROWS = 2048  # drawn at once: what they look up then stays in the processor's cache
_NOISE = 1e-12  # of the transform, as a share of the largest entry

# x shared options, p options of the link before, w options of the own link, c combinations of own
# genes, k bins


@dataclass(frozen=True, eq=False)
class _Part:
    """One part of the chain.

    Attributes:
        own: (c, number of genes) choices of its own genes.
        columns: Columns of these genes.
        bins: (x p w, c): its cost.
        before: (x w k, p) cumulative weights of the link before, given the cost of everything up to
            this part.
        reached: (x w 2k) weights of the cost up to this part, after as many zeros for what would
            cost less than nothing.
        sizes: x, p, w and k.
    """

    own: Choices
    columns: tuple[int, ...]
    bins: NDArray[np.int32]
    before: NDArray[np.float32]
    reached: NDArray[np.float32]
    sizes: tuple[int, int, int, int]


class BudgetedDraws:
    """Rows above a floor with a cost from `start` to `start + span`, give or take half a bin for
    each part.
    """

    def __init__(
        self, space: SearchSpace, chain: CostChain, floor: Sequence[int], start: float, span: float
    ) -> None:
        """A window that is narrow for its distance from zero is aimed at with coarser bins, so that
        more draws miss it.
        """
        width = max(span / _BINS_A_SPAN, (start + span) / _MOST_BINS)
        slack = 0.5 * len(chain.parts) * width
        num_bins = int((start + span + slack) / width) + 2
        self._floor = np.array(floor, dtype=np.int16)
        self._counts = [len(gene.options) for gene in space.genes]
        self._chain = chain
        self._shared = self._combinations(chain.shared)
        self._links = [self._combinations(() if link is None else (link,)) for link in chain.links]
        self._parts: list[_Part] = []
        reached: NDArray[np.float64] | None = None
        for number in range(len(chain.parts)):
            part, reached = self._part(space, number, width, num_bins, reached)
            self._parts.append(part)
        first, last = (
            max(0, int(np.floor((start - slack) / width))),
            int(np.ceil((start + span + slack) / width)),
        )
        self._window = first, min(last, num_bins - 1)
        assert reached is not None
        inside_xwk = reached[:, :, first : self._window[1] + 1]
        self._shape, self._ends = inside_xwk.shape, np.cumsum(inside_xwk)

    @property
    def is_empty(self) -> bool:
        """True if nothing lies near the window."""
        return not self._ends[-1] > _NOISE * len(self._ends)

    def draw(self, count: int, rng: np.random.Generator) -> Choices:
        """(at most count, g) rows in or next to the window."""
        return np.concatenate(
            [self._block(min(_ROWS, count - done), rng) for done in range(0, count, _ROWS)]
        )

    def _block(self, count: int, rng: np.random.Generator) -> Choices:
        rows: Choices = np.repeat(self._floor[None], count, axis=0)
        ends = np.searchsorted(self._ends, rng.random(count) * self._ends[-1], side="right")
        shared, link, cost = np.unravel_index(np.minimum(ends, len(self._ends) - 1), self._shape)
        cost = cost + self._window[0]
        rows[:, list(self._chain.shared)] = self._shared[shared]
        whole = np.ones(count, dtype=bool)
        for number in range(len(self._parts) - 1, -1, -1):
            part, column = self._parts[number], self._chain.links[number]
            if column is not None:
                rows[:, column] = self._links[number][link, 0]
            _, num_before, num_links, num_bins = part.sizes
            before = _chosen(part.before[(shared * num_links + link) * num_bins + cost], rng)
            left = cost[:, None] - part.bins[(shared * num_before + before) * num_links + link]
            if number:
                zero = ((shared * num_before + before) * 2 + 1) * num_bins
                weights = self._parts[number - 1].reached.take(left + zero[:, None])
            else:
                weights = (left == 0).astype(np.float32)
            summed = np.cumsum(weights, axis=1)
            whole &= summed[:, -1] > 0
            own = _chosen(summed, rng)
            rows[:, list(part.columns)] = part.own[own]
            cost, link = np.maximum(left[np.arange(count), own], 0), before
        return rows[whole]

    def _combinations(self, columns: Sequence[int]) -> Choices:
        """(number, len(columns)): all options from the floor on."""
        ranges = [range(int(self._floor[column]), self._counts[column]) for column in columns]
        options = list(itertools.product(*ranges))
        return np.array(options, dtype=np.int16).reshape(len(options), len(columns))

    def _part(
        self,
        space: SearchSpace,
        number: int,
        width: float,
        num_bins: int,
        reached_xpk: NDArray[np.float64] | None,
    ) -> tuple[_Part, NDArray[np.float64]]:
        tables, link = self._chain.parts[number], self._chain.links[number]
        last = self._chain.links[number - 1] if number else None
        known = {*self._chain.shared, link, last}
        columns = tuple(sorted({column for table in tables for column in table.columns} - known))
        own, shared, links = self._combinations(columns), self._shared, self._links[number]
        befores = self._links[number - 1] if number else np.zeros((1, 0), dtype=np.int16)
        of_column = {column: (0, shared[:, i]) for i, column in enumerate(self._chain.shared)}
        of_column |= {column: (3, own[:, i]) for i, column in enumerate(columns)}
        of_column |= {} if last is None else {last: (1, befores[:, 0])}
        of_column |= {} if link is None else {link: (2, links[:, 0])}
        costs_xpwc = _priced(
            tables, self._chain.cost, of_column, (len(shared), len(befores), len(links), len(own))
        )
        bins_xpwc = np.minimum(np.rint(costs_xpwc / width), num_bins).astype(np.int32)
        prior_pw = self._prior(space, number, befores, links)
        histogram_xpwk = _histograms(bins_xpwc, num_bins) / len(own)
        if reached_xpk is None:
            before_xpwk = histogram_xpwk
        else:
            size = 2 * num_bins
            transformed = np.fft.rfft(reached_xpk, size)[:, :, None] * np.fft.rfft(
                histogram_xpwk, size
            )
            before_xpwk = np.fft.irfft(transformed, size)[..., :num_bins]
            before_xpwk[before_xpwk < _NOISE * before_xpwk.max()] = 0.0
        before_xpwk = before_xpwk * prior_pw[None, :, :, None]
        reached_xwk = before_xpwk.sum(axis=1)
        padded = np.pad(reached_xwk, ((0, 0), (0, 0), (num_bins, 0))).astype(np.float32)
        cumulative = np.cumsum(before_xpwk.transpose(0, 2, 3, 1), axis=3).astype(np.float32)
        sizes = (len(shared), len(befores), len(links), num_bins)
        flat = bins_xpwc.reshape(-1, len(own)), cumulative.reshape(-1, len(befores)), padded.ravel()
        return _Part(own, columns, *flat, sizes), reached_xwk

    def _prior(
        self, space: SearchSpace, number: int, befores: Choices, links: Choices
    ) -> NDArray[np.float64]:
        """(p, w): uniform over what the link before allows, which is what `repair` does not
        raise.
        """
        link, last = self._chain.links[number], self._chain.links[number - 1] if number else None
        if link is None:
            return np.ones((len(befores), 1))
        rows = np.zeros((len(befores), len(self._counts)), dtype=np.int16)
        if last is not None:
            rows[:, last] = befores[:, 0]
        least = space.repair(rows)[:, link]
        allowed = np.asarray(links[:, 0] >= least[:, None], dtype=np.float64)
        prior: NDArray[np.float64] = allowed / np.maximum(allowed.sum(axis=1, keepdims=True), 1.0)
        return prior


def _chosen(cumulative: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.intp]:
    """(n, m) cumulative weights -> (n,) drawn indices."""
    drawn = rng.random(len(cumulative), dtype=np.float32)[:, None] * cumulative[:, -1:]
    chosen: NDArray[np.intp] = (cumulative > drawn).argmax(axis=1)
    return chosen


def _priced(
    tables: Sequence[CostTable],
    cost: int,
    of_column: dict[int, tuple[int, Choices]],
    shape: tuple[int, int, int, int],
) -> NDArray[np.float64]:
    """(x, p, w, c): what the tables say; each column's options lie along one of the axes."""
    total: NDArray[np.float64] = np.zeros(shape)
    for table in tables:
        index: NDArray[np.intp] = np.zeros((1, 1, 1, 1), dtype=np.intp)
        for column, stride in zip(table.columns, table.strides, strict=True):
            axis, options = of_column[column]
            index = index + np.expand_dims(
                options.astype(np.intp) * stride, [a for a in range(4) if a != axis]
            )
        total += table.values[cost][index]
    return total


def _histograms(bins_xpwc: NDArray[np.int32], num_bins: int) -> NDArray[np.float64]:
    """(x, p, w, k): how many combinations cost so much; what costs more than all bins is left
    out.
    """
    flat = bins_xpwc.reshape(-1, bins_xpwc.shape[3])
    places = np.arange(len(flat))[:, None] * (num_bins + 1) + flat
    counted = np.bincount(places.ravel(), minlength=len(flat) * (num_bins + 1)).reshape(
        *bins_xpwc.shape[:3], num_bins + 1
    )
    return counted[..., :num_bins].astype(np.float64)
