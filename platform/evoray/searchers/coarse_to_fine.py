"""Coarse-to-fine selection (Yu et al. 2020, BigNAS, arXiv:2003.11142, section 3.3): a grid of
global settings, then local changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.pareto import dominance
from evoray.problem.problem import Problem
from evoray.searchers.base import Lineage
from evoray.searchers.parts.breeder import ArchiveBreeder
from searchspaces.base import Choices, Gene

_ROUNDS = 50  # of mutating or sampling again to replace duplicates


class CoarseToFine(ArchiveBreeder):
    """First every skeleton of a small grid, once for all limits; then mutants of the best found so
    far.

    A skeleton moves all genes of one kind together: the kind is the last word of a gene's name
    ("stage3.width" is a "width"), so the grid holds one multiplier for all depths, one for all
    widths, and so on. In the fine phase the parents are all feasible networks that nothing
    dominates: with one target and a limit that is the paper's hill climb around the best skeleton,
    with accuracy against cost it climbs at every limit at once.

    The published grid (5 resolutions x 4 depths x 2 widths x 4 kernels = 160) and the mutation rate
    are recollections, not from the paper's text; they are options here.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        levels: int,
        grid_limit: int,
        mutation_probability: float,
    ) -> None:
        if levels < 2:
            raise ValueError(f"coarse_to_fine needs at least 2 levels a kind of gene, got {levels}")
        grid = skeletons(problem.space.genes, levels=levels, limit=grid_limit)
        rounds = _ROUNDS + len(grid)
        super().__init__(problem, seed=seed, stream="coarse_to_fine", rounds=rounds)
        self._mutation_probability = mutation_probability
        self._grid = problem.space.repair(grid)
        self._next_skeleton = 0

    def _kept(self) -> NDArray[np.int64]:
        losses, violations = self._archive.losses, self._archive.violations
        best = dominance.front(losses, violations)
        return best if len(best) else np.argsort(violations, kind="stable")[:1]

    def state(self) -> dict[str, Any]:
        return {**super().state(), "next_skeleton": self._next_skeleton}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._next_skeleton = state["next_skeleton"]

    def _draw(self, count: int, _: int) -> tuple[Choices, Lineage]:
        return self._coarse(count) if self._next_skeleton < len(self._grid) else self._fine(count)

    def _coarse(self, count: int) -> tuple[Choices, Lineage]:
        rows = self._grid[self._next_skeleton : self._next_skeleton + count]
        self._next_skeleton += len(rows)
        return rows, Lineage.same("grid", len(rows))

    def _fine(self, count: int) -> tuple[Choices, Lineage]:
        if len(self._archive) == 0:
            return self._sampled(count)
        parents = self._rng.integers(0, len(self._archive), size=count)
        mutated = variation.mutate(
            self._archive.choices[parents], self._kinds, self._mutation_probability, self._rng
        )
        return self._problem.space.repair(mutated), Lineage.same(
            "mutation", count, self._archive.keys[parents][:, None]
        )


def skeletons(genes: Sequence[Gene], *, levels: int, limit: int) -> NDArray[np.int16]:
    """The coarse grid, (n, g) distinct rows with n <= limit.

    Each kind of gene takes as many evenly spread levels as its longest gene has options, at most
    `levels`; a gene with fewer options rounds to its nearest. While the grid is larger than
    `limit`, the kind with the most levels loses one.
    """
    kinds = list(dict.fromkeys(gene.name.rsplit(".", 1)[-1] for gene in genes))
    of_gene = [kinds.index(gene.name.rsplit(".", 1)[-1]) for gene in genes]
    longest = [
        max(len(g.options) for g, k in zip(genes, of_gene, strict=True) if k == kind)
        for kind in range(len(kinds))
    ]
    num_levels = [min(n, levels) for n in longest]
    while np.prod(num_levels, dtype=object) > limit:
        largest = int(np.argmax(num_levels))
        if num_levels[largest] == 1:
            break
        num_levels[largest] -= 1
    fractions = [np.linspace(0.0, 1.0, n) if n > 1 else np.array([1.0]) for n in num_levels]
    rows = [
        [
            round(point[kind] * (len(gene.options) - 1))
            for gene, kind in zip(genes, of_gene, strict=True)
        ]
        for point in itertools.product(*fractions)
    ]
    return np.array(list(dict.fromkeys(map(tuple, rows))), dtype=np.int16)[:limit]


def build(
    problem: Problem,
    *,
    seed: int,
    population: int,
    levels: int = 5,
    grid_limit: int = 160,
    mutation_probability: float = 0.1,
) -> CoarseToFine:
    """A fresh coarse-to-fine search; it has no population: the argument is there so that every
    searcher is built alike.
    """
    return CoarseToFine(
        problem,
        seed=seed,
        levels=levels,
        grid_limit=grid_limit,
        mutation_probability=mutation_probability,
    )
