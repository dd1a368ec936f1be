"""Constrained evolution for supernets (Real et al. 2019 without ageing; the evolutionary search of
ViT-ResNAS, arXiv:2109.00642, and of OFA, arXiv:1908.09791): the best of the whole history breed,
and every child lies in the window of the costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.pareto import dominance
from evoray.problem.feasible import FeasibleSampler
from evoray.problem.problem import Problem
from evoray.records.records import Record
from evoray.searchers.base import Lineage
from evoray.searchers.parts.breeder import ArchiveBreeder
from searchspaces.base import Choices, nearest

_ROUNDS = 60
_BREEDING_ROUNDS = 40  # the rest sample the window, where breeding finds nothing new
_OVERDRAW = 4  # children that miss the window are bred anew this many at a time


class Constrained(ArchiveBreeder):
    """Half mutants, half crossovers of the top of the whole history.

    Parents are the best `parents` records ever told: by the first target, after their violation.
    With more than one target it is rank and crowding that count. With `bins` above 1 the history is
    divided into as many equal ranges of the cost `bin_cost`, and each range's best are parents: one
    run then serves every budget between the smallest and the largest cost.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        initial: int,
        parents: int,
        mutation_probability: float,
        bins: int,
        bin_cost: str,
    ) -> None:
        if initial < 1 or parents < 1 or bins < 1:
            raise ValueError(
                f"constrained needs initial, parents and bins of at least 1, got {initial}, "
                f"{parents} and {bins}"
            )
        costs = [c.name for c in problem.costs]
        if bins > 1 and not costs:
            raise ValueError(
                "constrained with bins needs a cost to divide, and this search has none: add one, "
                "or leave bins at 1"
            )
        if bin_cost and bin_cost not in costs:
            raise ValueError(
                f"constrained cannot divide by {bin_cost!r}, which is no cost of this search; "
                f"{nearest(bin_cost, costs)}"
            )
        super().__init__(problem, seed=seed, stream="constrained", rounds=_ROUNDS)
        self._window = FeasibleSampler(problem)
        self._initial = initial
        self._parents = parents
        self._mutation_probability = mutation_probability
        self._bins = bins
        self._bin_cost = bin_cost or (costs[0] if costs else "")
        self._num_told = 0
        self._span = (np.inf, -np.inf)  # of the bin cost over the whole history

    def tell(self, records: Sequence[Record]) -> None:
        fresh = self._archive.add(records)
        self._seen.add(fresh.keys)
        self._num_told += len(fresh)
        if self._bins > 1 and len(fresh):
            costs = self._problem.cost_values(fresh.choices)[self._bin_cost]
            self._span = (
                min(self._span[0], float(costs.min())),
                max(self._span[1], float(costs.max())),
            )
        self._archive.keep(self._kept())

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "told": self._num_told,
            "span": None if self._num_told == 0 or self._bins == 1 else list(self._span),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._num_told = state["told"]
        self._span = (np.inf, -np.inf) if state["span"] is None else tuple(state["span"])

    def _kept(self) -> NDArray[np.int64]:
        """Indices of the parents, best first."""
        losses, violations = self._archive.losses, self._archive.violations
        order = (
            dominance.survivors(losses, violations, len(losses))
            if losses.shape[1] > 1
            else np.lexsort((losses[:, 0], violations))
        )
        if self._bins == 1 or len(order) == 0:
            return order[: self._parents]
        low, high = self._span
        costs = self._problem.cost_values(self._archive.choices)[self._bin_cost]
        of_bin = np.minimum(
            (costs - low) / ((high - low) or 1.0) * self._bins, self._bins - 1
        ).astype(np.int64)[order]
        place = np.zeros(len(order), dtype=np.int64)
        for bin_number in np.unique(of_bin):
            members = np.flatnonzero(of_bin == bin_number)
            place[members] = np.arange(len(members))
        each = max(1, round(self._parents / self._bins))
        return order[np.lexsort((np.arange(len(order)), place))][
            : max(self._parents, self._bins * each)
        ]

    def _draw(self, count: int, number: int) -> tuple[Choices, Lineage]:
        if (
            (self._num_told < self._initial and len(self._seen) < self._initial)
            or len(self._archive) == 0
            or number >= _BREEDING_ROUNDS
        ):
            return self._window.draw(count, self._rng), Lineage.same("sample", count)
        num = count if number == 0 else _OVERDRAW * count + 16
        first = self._rng.integers(0, len(self._archive), size=num)
        second = self._rng.integers(0, len(self._archive), size=num)
        by_mutation = np.arange(num) % 2 == 0
        mother, father = self._archive.choices[first], self._archive.choices[second]
        crossed = variation.cross(mother, father, self._kinds, 1.0, self._rng)
        mutated = variation.mutate(mother, self._kinds, self._mutation_probability, self._rng)
        children = self._problem.space.repair(np.where(by_mutation[:, None], mutated, crossed))
        keys = self._archive.keys
        parents = np.stack(
            [keys[first], np.where(by_mutation | (first == second), b"", keys[second])], axis=1
        )
        operators = np.where(by_mutation, "mutation", "crossover").astype(object)
        inside = np.flatnonzero(self._window.fits(children))
        return children[inside], Lineage(operators, parents).take(inside)


def build(
    problem: Problem,
    *,
    seed: int,
    population: int,
    initial: int | None = None,
    parents: int | None = None,
    mutation_probability: float = 0.3,
    bins: int = 1,
    bin_cost: str = "",
) -> Constrained:
    """A fresh constrained evolution.

    None means three populations of initial samples (ViT-ResNAS: 500 and then 150 a generation) and
    half a population of parents (75). `bin_cost` "" means the first cost.
    """
    return Constrained(
        problem,
        seed=seed,
        initial=3 * population if initial is None else initial,
        parents=max(1, population // 2) if parents is None else parents,
        mutation_probability=mutation_probability,
        bins=bins,
        bin_cost=bin_cost,
    )
