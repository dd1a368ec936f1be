"""A population shard: one searcher and the analytic gate in front of it. A plain class;
`distributed` makes an actor of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from evoray import searchers
from evoray.engine.proposals import Proposals
from evoray.pareto import dominance
from evoray.problem.contracts import check_choices, option_counts
from evoray.problem.problem import Problem
from evoray.records.records import Record, Records
from evoray.searchers.base import (
    Lineage,
    Searcher,
    lineage_of,
    num_duplicates_of,
    num_infeasible_of,
)
from evoray.searchers.parts.archive import Archive
from evoray.seeds import generator_for, seed_for
from searchspaces.base import Choices, Keys, key_array

_FRUITLESS_ROUNDS = 100  # of asking without one candidate that meets the analytic constraints
_RESIDENTS = 64  # candidates that a shard remembers to send to others


class Shard:
    """A part of the population."""

    def __init__(
        self, problem: Problem, searcher: Searcher, index: int, *, sends: bool = True
    ) -> None:
        """`sends`: whether it remembers candidates for other shards."""
        self._problem = problem
        self._searcher = searcher
        self._counts = option_counts(problem.space)
        self._source = (
            f"repair of space {problem.space.name!r}, or searcher {type(searcher).__module__}, "
            "when asked for candidates,"
        )
        self._index = index
        self._sends = sends
        self._residents = Archive(problem)
        self._num_sent = 0
        self._num_proposed = 0
        self._rejected: Counter[str] = Counter()

    def propose(self, count: int) -> Proposals:
        """Up to `count` new candidates that meet the analytic constraints; fewer when the searcher
        finds no more.
        """
        found: list[Proposals] = []
        missing, fruitless = count, 0
        while missing > 0 and fruitless < _FRUITLESS_ROUNDS:
            choices = self._searcher.ask(missing)
            if len(choices) == 0:
                break
            passed = self._gate(choices)
            found.append(passed)
            missing -= len(passed)
            fruitless = 0 if len(passed) else fruitless + 1
        return (
            Proposals.concat(found)
            if found
            else self._gate(np.zeros((0, len(self._problem.space.genes)), dtype=np.int16))
        )

    def tell(self, records: Sequence[Record]) -> None:
        """Takes the records of its proposals, or migrants of other shards."""
        columns = Records.of(records, len(self._problem.space.genes))
        self._searcher.tell(columns)
        if self._sends:
            self._residents.add(columns)
            self._residents.keep(
                dominance.survivors(self._residents.losses, self._residents.violations, _RESIDENTS)
            )

    def exchange(self, records: Sequence[Record], count: int) -> Proposals:
        """`tell` and `propose` in one call."""
        self.tell(records)
        return self.propose(count)

    def migrants(self, count: int, select: str) -> Keys:
        """Keys of up to `count` of its best feasible candidates: the least crowded first, or random
        ones.
        """
        feasible = np.flatnonzero(self._residents.violations <= 0)
        if select == "random":
            feasible = generator_for(self._index, "migrants", self._num_sent).permutation(feasible)
        self._num_sent += 1
        return self._residents.keys[feasible[:count]]

    def state(self) -> dict[str, Any]:
        """Searcher and counters, as JSON."""
        return {
            "searcher": self._searcher.state(),
            "residents": self._residents.state(),
            "sent": self._num_sent,
            "proposed": self._num_proposed,
            "rejected": dict(self._rejected),
            "infeasible": num_infeasible_of(self._searcher),
            "duplicates": num_duplicates_of(self._searcher),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._searcher.restore(state["searcher"])
        self._residents.restore(state["residents"])
        self._num_sent = state["sent"]
        self._num_proposed = state["proposed"]
        self._rejected = Counter(state["rejected"])

    def _gate(self, choices: Choices) -> Proposals:
        num = len(choices)
        lineage = lineage_of(self._searcher, num) if num else Lineage.same("asked", 0)
        self._num_proposed += len(choices)
        check_choices(self._problem.space, self._counts, choices, self._source)
        costs = self._problem.cost_values(choices)
        every = Proposals(
            choices,
            key_array(self._problem.space, choices),
            costs,
            lineage,
            np.full(len(choices), self._index, dtype=np.int32),
        )
        passes = np.ones(len(choices), dtype=bool)
        for constraint in self._problem.analytic_constraints:
            broken = constraint.violation(costs[constraint.name]) > 0
            if broken.any():
                self._rejected[str(constraint)] += int(broken.sum())
            passes &= ~broken
        return every if passes.all() else every.take(np.flatnonzero(passes))


def searchers_for(
    problem: Problem,
    names: str | Sequence[str],
    *,
    num_shards: int,
    seed: int,
    population: int,
    options: Mapping[str, Any] | None = None,
) -> list[Searcher]:
    """A fresh searcher a shard; with several names the shards take turns.

    The first shard has the run's own seed, so that one shard is the plain algorithm. `options` are
    the algorithm's own. Searchers may go to other processes, so they hold no objective.
    """
    bare = problem.without_objectives()
    kinds = [names] if isinstance(names, str) else list(names)
    seeds = [seed if index == 0 else seed_for(seed, "shard", index) for index in range(num_shards)]
    return [
        searchers.load(
            kinds[index % len(kinds)], bare, seed=s, population=population, **(options or {})
        )
        for index, s in enumerate(seeds)
    ]


class ShardGroup(Protocol):
    """All shards of a search, in this process or as actors."""

    @property
    def num_shards(self) -> int: ...

    def call(
        self, method: str, arguments: Sequence[tuple[Any, ...] | None]
    ) -> list[Any]:  # Any: each method has its own types
        """Calls one method of every shard, each with its own arguments; results in the shards'
        order. None skips a shard.
        """
        ...

    def close(self) -> None: ...


class LocalShards:
    """Shards in this process."""

    def __init__(self, problem: Problem, shard_searchers: Sequence[Searcher]) -> None:
        sends = len(shard_searchers) > 1
        self._shards = [
            Shard(problem, searcher, index, sends=sends)
            for index, searcher in enumerate(shard_searchers)
        ]

    @property
    def num_shards(self) -> int:
        return len(self._shards)

    def call(self, method: str, arguments: Sequence[tuple[Any, ...] | None]) -> list[Any]:
        pairs = zip(self._shards, arguments, strict=True)
        return [None if args is None else getattr(shard, method)(*args) for shard, args in pairs]

    def close(self) -> None:
        """Nothing to free."""
