"""NSGA-II: a fast and elitist multiobjective genetic algorithm (Deb et al. 2002, doi:10.1109/4235.996017)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray import pareto, variation
from evoray.archive import Archive
from evoray.problem import Problem
from evoray.records import Record
from evoray.searchers.base import Lineage, Seen
from evoray.seeds import generator_for
from searchspaces.base import Choices, canonical_keys

_ROUNDS = 20  # of breeding or sampling again to replace duplicates


class Nsga2:
    """Elitist (mu + lambda) evolution by rank and crowding under constraint domination; duplicates are rejected by identity.

    Departs from the source in its operators, which act on option indices: uniform crossover, and a mutation that always
    changes at least one gene.
    """

    def __init__(
        self, problem: Problem, *, seed: int, population: int, crossover_probability: float = 0.9, mutation_probability: float | None = None
    ) -> None:
        if population < 2:
            raise ValueError(f"nsga2 needs a population of at least 2, got {population}")
        self._problem = problem
        self._counts = variation.option_counts(problem.space.genes)
        self._ordered = variation.ordered_genes(problem.space.genes)
        self._population = population
        self._crossover_probability = crossover_probability
        self._mutation_probability = 1.0 / len(self._counts) if mutation_probability is None else mutation_probability
        self._rng = generator_for(seed, "nsga2")
        self._seen = Seen()
        self._lineage: list[Lineage] = []
        self._archive = Archive(problem)

    def ask(self, count: int) -> Choices:
        found, self._lineage = [np.zeros((0, len(self._counts)), dtype=np.int16)], []
        missing = count
        for attempt in range(2 * _ROUNDS):
            if missing == 0:
                break
            breeding = len(self._archive) >= 2 and attempt < _ROUNDS
            drawn, lineage = self._breed(missing) if breeding else self._sample(missing)
            new = self._seen.add_new(drawn)
            found.append(drawn[new])
            self._lineage += [lineage[i] for i in new]
            missing -= len(new)
        return np.concatenate(found)

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Sequence[Lineage]:
        return self._lineage

    def tell(self, records: Sequence[Record]) -> None:
        self._seen.add(self._archive.add(records))
        self._archive.keep(pareto.survivors(self._archive.losses, self._archive.violations, self._population))

    def state(self) -> dict[str, Any]:
        return {"rng": self._rng.bit_generator.state, "seen": self._seen.state(), "archive": self._archive.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._seen.restore(state["seen"])
        self._archive.restore(state["archive"])

    def _sample(self, count: int) -> tuple[Choices, list[Lineage]]:
        drawn = self._problem.space.repair(variation.sample(self._counts, count, self._rng))
        return drawn, [Lineage("sample")] * count

    def _breed(self, count: int) -> tuple[Choices, list[Lineage]]:
        first, second = self._tournament(count), self._tournament(count)
        crossed = variation.cross(self._archive.choices[first], self._archive.choices[second], self._crossover_probability, self._rng)
        mutated = variation.mutate(crossed, self._counts, self._ordered, self._mutation_probability, self._rng)
        keys = canonical_keys(self._problem.space, self._archive.choices)
        lineage = [Lineage("crossover+mutation", tuple(dict.fromkeys((keys[a], keys[b])))) for a, b in zip(first, second, strict=True)]
        return self._problem.space.repair(mutated), lineage

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
