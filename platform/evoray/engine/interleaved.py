"""Searching while the supernet is still being trained: in each round a population is measured anew,
and the next one bred from it.

Values of different rounds are of different weights, so each round has a ledger of its own; the last
one is the stage's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray.engine.generational import Search
from evoray.engine.schedule import Progress, Schedule
from evoray.engine.shard import LocalShards
from evoray.evaluation.evaluator import Evaluator
from evoray.pareto import dominance
from evoray.problem.problem import Problem
from evoray.records.ledger import Ledger
from evoray.records.records import Record, Records
from evoray.searchers.base import Lineage, Renewable
from searchspaces.base import Architecture, Choices, Keys, SearchSpace, architectures, key_array


@dataclass(frozen=True, eq=False)
class Population:
    """The networks of one round.

    Attributes:
        choices: (n, g) canonical.
        keys: (n,)
        lineage: Operators and parents that made them; a survivor is "survivor" of itself.
        origins: (n,) index in the population before: its own, its first parent's, or the best one's
            where it has no parent; () in the first population.
        best: Index of the best one in the population before.
    """

    choices: Choices
    keys: Keys
    lineage: Lineage
    origins: tuple[int, ...] = ()
    best: int = 0

    def architectures(self, space: SearchSpace) -> tuple[Architecture, ...]:
        return tuple(architectures(space, self.choices))


class Given:
    """A searcher that asks for the networks that it was given, and for nothing else."""

    num_duplicates = 0

    def __init__(self, population: Population) -> None:
        self._population = population
        self._next = 0
        self._rows: NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def ask(self, count: int) -> Choices:
        self._rows = np.arange(self._next, min(self._next + count, len(self._population.choices)))
        self._next += len(self._rows)
        return self._population.choices[self._rows]

    def lineage(self) -> Lineage:
        return self._population.lineage.take(self._rows)

    def tell(self, records: Sequence[Record]) -> None:
        """Learns nothing."""

    def state(self) -> dict[str, Any]:
        return {"next": self._next}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._next = state["next"]


def first_population(searcher: Renewable, problem: Problem, size: int) -> Population:
    """Random distinct networks."""
    choices = searcher.ask(size)
    return Population(choices, key_array(problem.space, choices), searcher.lineage())


def next_population(
    searcher: Renewable, problem: Problem, population: Population, records: Records, by: str
) -> Population:
    """The survivors of a measured population and their children; `by` names the objective that
    tells the best of a front.
    """
    searcher.renew()
    searcher.tell(records)
    choices, keys = searcher.parents
    children = searcher.ask(len(population.choices) - len(choices))
    child_lineage = searcher.lineage()
    own = Lineage.same("survivor", len(choices), keys.reshape(-1, 1).astype(keys.dtype))
    known = {key: index for index, key in enumerate(population.keys.tolist())}
    best = known[records.keys[best_row(problem, records, by)]]
    parents = [row[0] if len(row) else b"" for row in child_lineage.parents.tolist()]
    origins = [known[key] for key in keys.tolist()] + [
        known.get(parent, best) for parent in parents
    ]
    return Population(
        np.concatenate([choices, children]),
        np.concatenate([keys, key_array(problem.space, children)]),
        Lineage.concat([own, child_lineage]),
        tuple(origins),
        best,
    )


def best_row(problem: Problem, records: Records, by: str) -> int:
    """Row of the best network: of those that nothing dominates the one with the best `by`.

    Raises:
        RuntimeError: Not one could be measured.
    """
    losses, violations = problem.losses(records)
    front = dominance.front(losses, violations)
    if len(front) == 0:
        raise RuntimeError(
            f"none of the round's {len(records)} networks could be measured; the last error: "
            f"{records.errors[-1] or 'no constraint was met'}"
        )
    return int(front[np.argmin(problem.goal(by).sign * records.values[by][front])])


def measure_round(
    problem: Problem,
    population: Population,
    evaluator: Evaluator,
    ledger: Ledger,
    number: int,
    on_progress: Callable[[Progress], None] | None = None,
) -> Records:
    """Measures what is not in the round's ledger yet; the records in the order of the
    population.
    """
    schedule = Schedule(evaluations=len(population.choices), population=len(population.choices))
    shards = LocalShards(problem, [Given(population)])
    Search(
        problem,
        shards,
        evaluator,
        ledger,
        schedule,
        on_progress=on_progress,
        first_generation=number,
    ).run()
    return ledger.take(ledger.rows(population.keys))
