"""EAGAN's evolution, one gene a time (Ying et al. 2022, arXiv:2111.15097, section 4.3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.pareto import cars, dominance
from evoray.problem.problem import Problem
from evoray.searchers.base import Lineage
from evoray.searchers.parts.archive import Archive
from evoray.searchers.parts.breeder import ArchiveBreeder
from searchspaces.base import Choices, Keys

_ROUNDS = 20  # of breeding or sampling again to replace duplicates
_SELECTORS = {"nsga2": dominance.survivors, "cars": cars.survivors}


class OneGene(ArchiveBreeder):
    """A child takes one gene of another parent, or mutates one, or, as nothing is said of the rest,
    is drawn afresh.

    Operators are the space's own where it has some (`variation.OwnVariation`); any parent is as
    likely as any other. Parents are the best by rank and crowding. Networks whose weights go on
    training are measured anew in every round: `renew` forgets what was measured, not what was
    asked.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        population: int,
        crossover_probability: float,
        mutation_probability: float,
        selector: str,
    ) -> None:
        if population < 1:
            raise ValueError(f"one_gene needs at least 1 parent, got {population}")
        if (
            min(crossover_probability, mutation_probability) < 0
            or not 0 < crossover_probability + mutation_probability <= 1
        ):
            raise ValueError(
                "one_gene needs probabilities of crossover and mutation that are not negative and "
                "add up to more than 0 and at most 1, "
                f"got {crossover_probability} and {mutation_probability}"
            )
        if selector not in _SELECTORS:
            raise ValueError(f"no selector {selector!r}; there is {', '.join(_SELECTORS)}")
        super().__init__(problem, seed=seed, stream="one gene", rounds=2 * _ROUNDS)
        self._population = population
        self._thresholds = (crossover_probability, crossover_probability + mutation_probability)
        self._survivors = _SELECTORS[selector]

    @property
    def parents(self) -> tuple[Choices, Keys]:
        """(p, g) the survivors, best first, and their (p,) keys."""
        return self._archive.choices, self._archive.keys

    def renew(self) -> None:
        """Forgets all values: the weights have changed, and the next `tell` brings new ones."""
        self._archive = Archive(self._problem)

    def _kept(self) -> NDArray[np.int64]:
        return self._survivors(self._archive.losses, self._archive.violations, self._population)

    def _draw(self, count: int, number: int) -> tuple[Choices, Lineage]:
        space = self._problem.space
        drawn, origin = (
            variation.sample_valid(space, count, self._rng),
            Lineage.same("sample", count),
        )
        if len(self._archive) == 0 or number >= _ROUNDS:
            return drawn, origin
        chance = self._rng.random(count)
        first, second = self._rng.integers(0, len(self._archive), size=(2, count))
        crossed, mutated = (
            chance < self._thresholds[0],
            (chance >= self._thresholds[0]) & (chance < self._thresholds[1]),
        )
        drawn[crossed] = self._cross(first[crossed], second[crossed])
        drawn[mutated] = self._mutate(first[mutated])
        keys = self._archive.keys
        parents = np.stack(
            [
                np.where(crossed | mutated, keys[first], b""),
                np.where(crossed & (first != second), keys[second], b""),
            ],
            axis=1,
        )
        operators = np.where(crossed, "crossover", np.where(mutated, "mutation", "sample")).astype(
            object
        )
        return space.repair(drawn), Lineage(operators, parents)

    def _cross(self, first: NDArray[np.int64], second: NDArray[np.int64]) -> Choices:
        space, mother, father = (
            self._problem.space,
            self._archive.choices[first],
            self._archive.choices[second],
        )
        if isinstance(space, variation.OwnVariation):
            return space.cross(mother, father, self._rng)
        child = mother.copy()
        column = self._rng.integers(0, mother.shape[1], size=len(mother))
        rows = np.arange(len(mother))
        child[rows, column] = father[rows, column]
        return child

    def _mutate(self, first: NDArray[np.int64]) -> Choices:
        space, parent = self._problem.space, self._archive.choices[first]
        if isinstance(space, variation.OwnVariation):
            return space.mutate(parent, self._rng)
        return variation.mutate(parent, self._kinds, 0.0, self._rng)


def build(
    problem: Problem,
    *,
    seed: int,
    population: int,
    crossover_probability: float = 0.3,
    mutation_probability: float = 0.5,
    selector: str = "nsga2",
) -> OneGene:
    """The paper's probabilities; `selector` "cars" is the released code's. `population` is the
    number of parents.
    """
    return OneGene(
        problem,
        seed=seed,
        population=population,
        crossover_probability=crossover_probability,
        mutation_probability=mutation_probability,
        selector=selector,
    )
