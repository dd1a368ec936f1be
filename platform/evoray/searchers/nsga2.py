"""NSGA-II: a fast and elitist multiobjective genetic algorithm (Deb et al. 2002,
doi:10.1109/4235.996017).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.pareto import dominance
from evoray.problem.problem import Problem
from evoray.records.records import Record
from evoray.searchers.base import Lineage, Seen, ask_new
from evoray.searchers.parts.archive import Archive
from evoray.seeds import generator_for
from searchspaces.base import Choices

_ROUNDS = 20  # of breeding or sampling again to replace duplicates


class Nsga2:
    """Elitist (mu + lambda) evolution by rank and crowding under constraint domination; duplicates
    are rejected by identity.

    Departs from the source in its operators, which are chosen gene by gene (`variation`).
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        population: int,
        crossover_probability: float = 0.9,
        mutation_probability: float | None = None,
    ) -> None:
        if population < 2:
            raise ValueError(f"nsga2 needs a population of at least 2, got {population}")
        self._problem = problem
        self._kinds = variation.GeneKinds.of(problem.space.genes)
        self._population = population
        self._crossover_probability = crossover_probability
        self._mutation_probability = (
            1.0 / len(self._kinds.counts) if mutation_probability is None else mutation_probability
        )
        self._rng = generator_for(seed, "nsga2")
        self._seen = Seen(problem.space)
        self._lineage = Lineage.same("sample", 0)
        self._archive = Archive(problem)

    def ask(self, count: int) -> Choices:
        choices, self._lineage = ask_new(
            self._seen, count, len(self._kinds.counts), self._draw, rounds=2 * _ROUNDS
        )
        return choices

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Lineage:
        return self._lineage

    def tell(self, records: Sequence[Record]) -> None:
        self._seen.add(self._archive.add(records).keys)
        self._archive.keep(
            dominance.survivors(self._archive.losses, self._archive.violations, self._population)
        )

    def state(self) -> dict[str, Any]:
        return {
            "rng": self._rng.bit_generator.state,
            "seen": self._seen.state(),
            "archive": self._archive.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._seen.restore(state["seen"])
        self._archive.restore(state["archive"])

    def _draw(self, count: int, number: int) -> tuple[Choices, Lineage]:
        if len(self._archive) >= 2 and number < _ROUNDS:
            return self._breed(
                count if number == 0 else 2 * count + 32
            )  # most of what is missing were duplicates: draw more at once
        drawn = variation.sample(self._kinds, count, self._rng)
        return self._problem.space.repair(drawn), Lineage.same("sample", count)

    def _breed(self, count: int) -> tuple[Choices, Lineage]:
        first, second = self._tournament(count), self._tournament(count)
        mother, father = self._archive.choices[first], self._archive.choices[second]
        crossed = variation.cross(
            mother, father, self._kinds, self._crossover_probability, self._rng
        )
        copies = (crossed == mother).all(axis=1) | (crossed == father).all(axis=1)
        mutated = variation.mutate(
            crossed, self._kinds, self._mutation_probability, self._rng, force=copies
        )
        parents = np.stack(
            [self._archive.keys[first], np.where(first == second, b"", self._archive.keys[second])],
            axis=1,
        )
        return self._problem.space.repair(mutated), Lineage.same(
            "crossover+mutation", count, parents
        )

    def _tournament(self, count: int) -> NDArray[np.int64]:
        """Binary tournaments; the population is kept best first, so the smaller index wins."""
        drawn: NDArray[np.int64] = self._rng.integers(0, len(self._archive), size=(count, 2))
        return np.asarray(drawn.min(axis=1))


def build(
    problem: Problem,
    *,
    seed: int,
    population: int,
    crossover_probability: float = 0.9,
    mutation_probability: float | None = None,
) -> Nsga2:
    """A fresh NSGA-II; a mutation probability of None means one gene in expectation."""
    return Nsga2(
        problem,
        seed=seed,
        population=population,
        crossover_probability=crossover_probability,
        mutation_probability=mutation_probability,
    )
