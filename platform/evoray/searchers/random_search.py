"""Uniform random search without repetition: the baseline every searcher must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evoray import variation
from evoray.problem.problem import Problem
from evoray.records.records import Record
from evoray.searchers.base import Lineage, Seen, ask_new
from evoray.seeds import generator_for
from searchspaces.base import Choices

_ROUNDS = 50  # of drawing again before the space counts as exhausted


class RandomSearch:
    """Every gene uniform and independent; a network is asked for once."""

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._space = problem.space
        self._kinds = variation.GeneKinds.of(problem.space.genes)
        self._rng = generator_for(seed, "random")
        self._seen = Seen(problem.space)
        self._lineage = Lineage.same("sample", 0)

    def ask(self, count: int) -> Choices:
        choices, self._lineage = ask_new(
            self._seen, count, len(self._kinds.counts), self._sample, rounds=_ROUNDS
        )
        return choices

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Lineage:
        return self._lineage

    def tell(self, records: Sequence[Record]) -> None:
        """Random search learns nothing."""

    def state(self) -> dict[str, Any]:
        return {"rng": self._rng.bit_generator.state, "seen": self._seen.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._seen.restore(state["seen"])

    def _sample(self, count: int, _: int) -> tuple[Choices, Lineage]:
        return self._space.repair(variation.sample(self._kinds, count, self._rng)), Lineage.same(
            "sample", count
        )


def build(problem: Problem, *, seed: int, population: int) -> RandomSearch:
    """Random search has no population; the argument is there so that every searcher is built
    alike.
    """
    return RandomSearch(problem, seed=seed)
