"""Asynchronous NSGA-II (Nebro and Durillo 2009, doi:10.1007/978-3-642-01020-0_29, the steady-state
variant): no generations.

Each finished candidate takes its place in the population at once, and one new candidate is bred for
it. `asynchronous` tells the search that no barrier is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evoray.problem.problem import Problem
from evoray.records.records import Record, Records
from evoray.searchers.nsga2 import Nsga2

_TAKEN_TOGETHER = 4  # records more than this are taken in one step: nobody tells so many one by one


class SteadyState(Nsga2):
    """NSGA-II's breeding; the population takes one record at a time, so that crowding is true after
    each replacement.
    """

    asynchronous = True

    def tell(self, records: Sequence[Record]) -> None:
        columns = Records.of(records, len(self._kinds.counts))
        if len(columns) > _TAKEN_TOGETHER:
            super().tell(columns)
            return
        for row in np.argsort(columns.keys, kind="stable"):
            super().tell(columns.take(np.array([row])))


def build(
    problem: Problem,
    *,
    seed: int,
    population: int,
    crossover_probability: float = 0.9,
    mutation_probability: float | None = None,
) -> SteadyState:
    """A fresh asynchronous NSGA-II; a mutation probability of None means one gene in
    expectation.
    """
    return SteadyState(
        problem,
        seed=seed,
        population=population,
        crossover_probability=crossover_probability,
        mutation_probability=mutation_probability,
    )
