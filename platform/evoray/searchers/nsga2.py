"""NSGA-II: a fast and elitist multiobjective genetic algorithm (Deb et al. 2002,
doi:10.1109/4235.996017).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.pareto import dominance
from evoray.problem.problem import Problem
from evoray.searchers.base import Lineage
from evoray.searchers.parts.breeder import ArchiveBreeder
from searchspaces.base import Choices

_ROUNDS = 20  # of breeding or sampling again to replace duplicates


class Nsga2(ArchiveBreeder):
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
        super().__init__(problem, seed=seed, stream="nsga2", rounds=2 * _ROUNDS)
        self._population = population
        self._crossover_probability = crossover_probability
        self._mutation_probability = (
            1.0 / len(self._kinds.counts) if mutation_probability is None else mutation_probability
        )

    def _kept(self) -> NDArray[np.int64]:
        losses, violations = self._archive.losses, self._archive.violations
        return dominance.survivors(losses, violations, self._population)

    def _draw(self, count: int, number: int) -> tuple[Choices, Lineage]:
        if len(self._archive) >= 2 and number < _ROUNDS:
            return self._breed(
                count if number == 0 else 2 * count + 32
            )  # most of what is missing were duplicates: draw more at once
        return self._sampled(count)

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
