"""A population shard: one searcher and the analytic gate in front of it. A plain class; `distributed` makes an actor of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from evoray import pareto, searchers
from evoray.archive import Archive
from evoray.problem import Problem
from evoray.records import Record
from evoray.searchers.base import Lineage, Searcher, TracesCandidates
from evoray.seeds import seed_for
from searchspaces.base import Architecture, architectures, canonical_keys

_FRUITLESS_ROUNDS = 100  # of asking without one candidate that meets the analytic constraints


@dataclass(frozen=True)
class Proposal:
    """A candidate that met every analytic constraint.

    Attributes:
        architecture: What to evaluate.
        costs: Every cost by name.
        lineage: How it was made.
        shard: Index of its shard.
    """

    architecture: Architecture
    costs: Mapping[str, float]
    lineage: Lineage
    shard: int


class Shard:
    """A part of the population."""

    def __init__(self, problem: Problem, searcher: Searcher, index: int) -> None:
        self._problem = problem
        self._searcher = searcher
        self._index = index
        self._best = Archive(problem)
        self._num_proposed = 0
        self._rejected: Counter[str] = Counter()

    def propose(self, count: int) -> list[Proposal]:
        """Up to `count` new candidates that meet the analytic constraints; fewer when the searcher finds no more."""
        found: list[Proposal] = []
        fruitless = 0
        while len(found) < count and fruitless < _FRUITLESS_ROUNDS:
            passed, asked = self._ask(count - len(found))
            if asked == 0:
                break
            found += passed
            fruitless = 0 if passed else fruitless + 1
        return found

    def tell(self, records: Sequence[Record]) -> None:
        """What became of its proposals, or migrants of other shards."""
        self._searcher.tell(records)
        self._best.add(records)
        self._best.keep(pareto.front(self._best.losses, self._best.violations))

    def elites(self, count: int) -> list[str]:
        """Keys of up to `count` of its best feasible candidates, the least crowded first."""
        best = pareto.survivors(self._best.losses, self._best.violations, count)
        return canonical_keys(self._problem.space, self._best.choices[best])

    def state(self) -> dict[str, Any]:
        """Searcher and counters, as JSON."""
        return {
            "searcher": self._searcher.state(),
            "best": self._best.state(),
            "proposed": self._num_proposed,
            "rejected": dict(self._rejected),
            "duplicates": self._searcher.num_duplicates if isinstance(self._searcher, TracesCandidates) else 0,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._searcher.restore(state["searcher"])
        self._best.restore(state["best"])
        self._num_proposed = state["proposed"]
        self._rejected = Counter(state["rejected"])

    def _ask(self, count: int) -> tuple[list[Proposal], int]:
        choices = self._searcher.ask(count)
        if len(choices) == 0:
            return [], 0
        traced = isinstance(self._searcher, TracesCandidates)
        lineage = self._searcher.lineage() if isinstance(self._searcher, TracesCandidates) else []
        self._num_proposed += len(choices)
        costs = self._problem.cost_values(choices)
        passes = np.ones(len(choices), dtype=bool)
        for constraint in self._problem.analytic_constraints:
            broken = constraint.violation(costs[constraint.name]) > 0
            if broken.any():
                self._rejected[str(constraint)] += int(broken.sum())
            passes &= ~broken
        kept: list[int] = np.flatnonzero(passes).tolist()
        return [
            Proposal(
                architecture,
                {name: float(column[i]) for name, column in costs.items()},
                lineage[i] if traced else Lineage("asked"),
                self._index,
            )
            for i, architecture in zip(kept, architectures(self._problem.space, choices[kept]), strict=True)
        ], len(choices)


def searchers_for(
    problem: Problem, name: str, *, num_shards: int, seed: int, population: int, options: Mapping[str, Any] | None = None
) -> list[Searcher]:
    """A fresh searcher a shard; the first has the run's own seed, so that one shard is the plain algorithm."""
    seeds = [seed if index == 0 else seed_for(seed, "shard", index) for index in range(num_shards)]
    return [searchers.load(name, problem, seed=s, population=population, **(options or {})) for s in seeds]


class ShardGroup(Protocol):
    """All shards of a search, in this process or as actors."""

    @property
    def num_shards(self) -> int: ...

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:  # Any: each method has its own types
        """Calls one method of every shard, each with its own arguments; results in the shards' order."""
        ...

    def close(self) -> None: ...


class LocalShards:
    """Shards in this process."""

    def __init__(self, problem: Problem, shard_searchers: Sequence[Searcher]) -> None:
        self._shards = [Shard(problem, searcher, index) for index, searcher in enumerate(shard_searchers)]

    @property
    def num_shards(self) -> int:
        return len(self._shards)

    def call(self, method: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        return [getattr(shard, method)(*args) for shard, args in zip(self._shards, arguments, strict=True)]

    def close(self) -> None:
        """Nothing to free."""
