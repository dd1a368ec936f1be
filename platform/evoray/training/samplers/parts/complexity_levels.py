"""Complexity levels: windows of one cost, drawing subnets in them, and the walk of training from
one to the next.

Tang et al. 2023 (ElasticViT), arXiv:2303.09730: all subnets of a step share one level, and the
level moves by at most one rung a step.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.seeds import generator_for
from evoray.training.samplers.parts.budgeted_draws import BudgetedDraws
from searchspaces.base import (
    Architecture,
    Choices,
    ComplexityLevels,
    HasCostChain,
    HasLevels,
    SearchSpace,
    architectures,
    smallest,
)

_BLOCK = 1024  # moves of the walk that are drawn at once
_BATCH = 4096  # rows that are drawn and costed at once
_LEAST_AIMED = 16
_MOST_ROWS = 1 << 20  # drawn in a row without a hit before a window counts as empty
_REDRAWS = 64
_PROBES = 20_000


class ComplexityLevelWalk:
    """A walk over 0 .. count - 1 that starts at 0 and moves by -1, 0 or +1 a step, equally likely;
    at an end it stays instead.
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._blocks: list[list[int]] = []  # where it is at every step, as far as was needed

    def at(self, step: int) -> int:
        """Level of one step of the walk; depends on the seed and the step alone."""
        block, within = divmod(step, _BLOCK)
        while len(self._blocks) <= block:
            moves = generator_for(self._seed, "walk", len(self._blocks)).integers(
                -1, 2, size=_BLOCK
            )
            if not self._blocks:
                moves[0] = 0  # it starts where it is
            position, path = self._blocks[-1][-1] if self._blocks else 0, []
            for move in moves.tolist():
                position = min(max(position + move, 0), self._count - 1)
                path.append(position)
            self._blocks.append(path)
        return self._blocks[block][within]


@dataclass(frozen=True)
class ComplexityLevelRow:
    """Facts of one level, for tables.

    Attributes:
        start: Lower end of the window, in the cost's unit.
        end: Upper end of the window.
        floor: The network that none of its subnets is below.
        floor_cost: Cost of that network.
        acceptance: Share of uniform draws above the floor that lie in the window.
    """

    start: float
    end: float
    floor: Architecture
    floor_cost: float
    acceptance: float


def levels_of(space: SearchSpace) -> ComplexityLevels:
    """The levels that the space's authors used, where it offers any, or else derived ones."""
    offered = space.levels if isinstance(space, HasLevels) else None
    return derive_levels(space) if offered is None else offered


def derive_levels(
    space: SearchSpace, *, cost: str = "macs", count: int = 8, num_floors: int = 3, seed: int = 0
) -> ComplexityLevels:
    """ComplexityLevels from the distribution of a space's costs.

    Where the authors chose by hand, this takes what their choices have in common: starts in equal
    ratios from the 1st to the 95th percentile of uniform draws, windows of 4 % of the median, and
    for the first and second quarter of the levels and the rest a floor of their own: the smallest
    network, then networks whose genes are raised evenly up to half of what their first level starts
    at.

    Raises:
        ValueError: The costs hardly differ, so that the levels would overlap.
    """
    kinds = variation.GeneKinds.of(space.genes)
    nothing = np.zeros(len(kinds.counts), dtype=np.int16)
    costs = space.costs(draw_above(space, kinds, nothing, _PROBES, generator_for(seed, "levels")))[
        cost
    ]
    low, middle, high = np.quantile(costs, [0.01, 0.5, 0.95])
    starts = np.geomspace(low, high, count)
    span = 0.04 * middle
    if count > 1 and (np.diff(starts) <= 0).any():
        raise ValueError(
            f"space {space.name!r} has too little spread in {cost} for {count} levels: from "
            f"{low:g} to {high:g}"
        )
    bands = [min(num_floors - 1, index * (num_floors + 1) // count) for index in range(count)]
    floors = {0: smallest(space)}
    for band in sorted(set(bands) - {0}):
        floors[band] = _scaled(space, kinds, cost, 0.5 * float(starts[bands.index(band)]))
    return ComplexityLevels(
        cost,
        tuple(float(start) for start in starts),
        float(span),
        tuple(floors[band] for band in bands),
    )


def describe_levels(
    space: SearchSpace, levels: ComplexityLevels, *, seed: int = 0
) -> list[ComplexityLevelRow]:
    """A row for each level; the acceptance is measured on uniform draws."""
    kinds, rows = variation.GeneKinds.of(space.genes), []
    for index, (start, floor) in enumerate(zip(levels.starts, levels.floors, strict=True)):
        lowest = np.array(floor.choices, dtype=np.int16)
        drawn = draw_above(space, kinds, lowest, _PROBES, generator_for(seed, "acceptance", index))
        costs = space.costs(np.concatenate([lowest[None], drawn]))[levels.cost]
        inside = (costs[1:] >= start) & (costs[1:] <= start + levels.span)
        rows.append(
            ComplexityLevelRow(
                start, start + levels.span, floor, float(costs[0]), float(inside.mean())
            )
        )
    return rows


def draw_above(
    space: SearchSpace,
    kinds: variation.GeneKinds,
    floor: Choices,
    count: int,
    rng: np.random.Generator,
) -> Choices:
    """(count, g) canonical rows, every gene uniform over the options from the floor's (g,) on.

    What `repair` would change is drawn again instead of repaired, from left to right, so that a
    gene bound by those before it is uniform over what they allow: where `repair` raises an option
    it is taken to be the least allowed one. Only what it sets to option 0, as it does with genes
    that mean nothing, is taken at once. Genes without an order have no floor.
    """
    low = np.where(kinds.ordered, floor, 0).astype(np.int16)
    span = (kinds.counts - low).astype(
        np.float32
    )  # one multiplication a gene is much quicker than `integers` with bounds
    rows: Choices = low + np.minimum(
        rng.random((count, len(low)), dtype=np.float32) * span, span - 1
    ).astype(np.int16)
    open_rows, drawn = np.arange(count), rows.copy()
    for _ in range(_REDRAWS):
        repaired = space.repair(drawn)
        wrong = repaired != drawn
        nothing = wrong & (repaired == 0)
        if nothing.any():
            drawn[nothing] = 0
            wrong &= ~nothing
        changed = wrong.any(axis=1)
        rows[open_rows] = drawn
        if not changed.any():
            return rows
        open_rows, drawn = open_rows[changed], drawn[changed]
        each, first = np.arange(len(drawn)), wrong[changed].argmax(axis=1)
        least = repaired[changed][each, first]
        least = np.where(
            least > drawn[each, first], least, low[first]
        )  # lowered: all of its options are possible again
        drawn[each, first] = rng.integers(least, kinds.counts[first], dtype=np.int16)
    rows[open_rows] = drawn
    return space.repair(rows)


class ComplexityLevelDraws:
    """Draws subnets in the windows of levels: `draw_above` the level's floor, kept where the cost
    lies inside.

    Where the space says how its cost adds up along a chain, draws are aimed at the window, with the
    same outcome.
    """

    def __init__(self, space: SearchSpace, levels: ComplexityLevels) -> None:
        self.levels = levels
        self._space = space
        self._kinds = variation.GeneKinds.of(space.genes)
        self._floors = [np.array(floor.choices, dtype=np.int16) for floor in levels.floors]
        self._aimed: dict[int, BudgetedDraws | None] = {}

    def draw(self, level: int, count: int, rng: np.random.Generator) -> Choices:
        """(count, g) canonical rows of one level.

        Raises:
            ValueError: Hardly any network lies in the window.
        """
        found: list[Choices] = []
        missing, dry, reached = count, 0, (np.inf, -np.inf)
        aimed = self._aimed_at(level)
        while missing > 0:
            tried = _BATCH if aimed is None else min(_BATCH, 2 * missing + _LEAST_AIMED)
            rows = (
                draw_above(self._space, self._kinds, self._floors[level], tried, rng)
                if aimed is None
                else aimed.draw(tried, rng)
            )
            costs = self._space.costs(rows)[self.levels.cost]
            found.append(rows[self.fits(level, costs)][:missing])
            missing -= len(found[-1])
            dry = 0 if len(found[-1]) else dry + tried
            reached = (
                min(reached[0], costs.min(initial=np.inf)),
                max(reached[1], costs.max(initial=-np.inf)),
            )
            if dry >= _MOST_ROWS:
                raise ValueError(
                    f"level {level} of space {self._space.name!r} holds next to no network: none "
                    f"of {dry} draws above its floor had "
                    f"{self.levels.cost} from {self.levels.starts[level]:g} to "
                    f"{self.levels.starts[level] + self.levels.span:g}, "
                    f"they reach from {reached[0]:g} to {reached[1]:g}; widen the span or move the "
                    "level"
                )
        return (
            np.concatenate(found)
            if found
            else np.zeros((0, len(self._kinds.counts)), dtype=np.int16)
        )

    def _aimed_at(self, level: int) -> BudgetedDraws | None:
        if level not in self._aimed:
            start, span = self.levels.starts[level], self.levels.span
            aimed = (
                BudgetedDraws(
                    self._space,
                    self._space.cost_chain(self.levels.cost),
                    self._floors[level].tolist(),
                    start,
                    span,
                )
                if isinstance(self._space, HasCostChain)
                else None
            )
            self._aimed[level] = None if aimed is None or aimed.is_empty else aimed
        return self._aimed[level]

    def fits(self, level: int, costs: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,): which costs lie in a level's window."""
        start = self.levels.starts[level]
        return np.asarray((costs >= start) & (costs <= start + self.levels.span))


def _scaled(
    space: SearchSpace, kinds: variation.GeneKinds, cost: str, at_most: float
) -> Architecture:
    """The smallest network with its ordered genes raised evenly, one option at a time, while it
    costs no more than `at_most`.
    """
    row = np.array(smallest(space).choices, dtype=np.int16)
    raisable = np.flatnonzero(kinds.ordered & (kinds.counts > 1))
    while True:
        steps = space.repair(row + np.eye(len(row), dtype=np.int16)[raisable])
        fits = (space.costs(steps)[cost] <= at_most) & (steps != row).any(axis=1)
        if not fits.any():
            return architectures(space, row)[0]
        heights = row[raisable] / (kinds.counts[raisable] - 1)
        row = steps[np.argmin(np.where(fits, heights, np.inf))]


def gap_between(levels: ComplexityLevels) -> float:
    """Largest difference in cost that two subnets drawn at neighbouring levels may have."""
    gaps: Sequence[float] = [after - before for before, after in itertools.pairwise(levels.starts)]
    return max(gaps, default=0.0) + levels.span
