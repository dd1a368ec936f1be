"""Uniform random search without repetition: the baseline every searcher must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evoray import variation
from evoray.problem import Problem
from evoray.records import Record
from evoray.searchers.base import Lineage, Seen
from evoray.seeds import generator_for
from searchspaces.base import Choices

_ROUNDS = 50  # of drawing again before the space counts as exhausted


class RandomSearch:
    """Every gene uniform and independent; a network is asked for once."""

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self._space = problem.space
        self._counts = variation.option_counts(problem.space.genes)
        self._rng = generator_for(seed, "random")
        self._seen = Seen()
        self._asked = 0

    def ask(self, count: int) -> Choices:
        found = [np.zeros((0, len(self._counts)), dtype=np.int16)]
        missing = count
        for _ in range(_ROUNDS):
            if missing == 0:
                break
            drawn = self._space.repair(variation.sample(self._counts, missing, self._rng))
            new = drawn[self._seen.add_new(drawn)]
            found.append(new)
            missing -= len(new)
        choices = np.concatenate(found)
        self._asked = len(choices)
        return choices

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Sequence[Lineage]:
        return [Lineage("sample")] * self._asked

    def tell(self, records: Sequence[Record]) -> None:
        """Random search learns nothing."""

    def state(self) -> dict[str, Any]:
        return {"rng": self._rng.bit_generator.state, "seen": self._seen.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._seen.restore(state["seen"])


def build(problem: Problem, *, seed: int, population: int) -> RandomSearch:
    """Random search has no population; the argument is there so that every searcher is built alike."""
    return RandomSearch(problem, seed=seed)
