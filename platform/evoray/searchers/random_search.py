"""Uniform random search without repetition: the baseline every searcher must beat."""

from __future__ import annotations

from collections.abc import Sequence

from evoray.problem.problem import Problem
from evoray.records.records import Record
from evoray.searchers.base import Lineage
from evoray.searchers.parts.breeder import Breeder
from searchspaces.base import Choices

_ROUNDS = 50  # of drawing again before the space counts as exhausted


class RandomSearch(Breeder):
    """Every gene uniform and independent; a network is asked for once."""

    def __init__(self, problem: Problem, *, seed: int) -> None:
        super().__init__(problem, seed=seed, stream="random", rounds=_ROUNDS)

    def tell(self, records: Sequence[Record]) -> None:
        """Random search learns nothing."""

    def _draw(self, count: int, number: int) -> tuple[Choices, Lineage]:
        return self._sampled(count)


def build(problem: Problem, *, seed: int, population: int) -> RandomSearch:
    """Random search has no population; the argument is there so that every searcher is built
    alike.
    """
    return RandomSearch(problem, seed=seed)
