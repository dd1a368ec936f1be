"""Searchers that draw their candidates themselves: asking until enough of them are new, where each
comes from, and their state exist once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.problem.problem import Problem
from evoray.records.records import Record
from evoray.searchers.base import Lineage
from evoray.searchers.parts.archive import Archive
from evoray.searchers.parts.seen import Seen, ask_new
from evoray.seeds import generator_for
from searchspaces.base import Choices

Draw = Callable[[int, int], tuple[Choices, Lineage]]  # candidates missing, number of the round


class Breeder(ABC):
    """A searcher whose memory is a generator and the networks that it has met.

    A subclass says in `_draw` how candidates are made, learns in `tell`, and adds what it remembers
    itself to `state` and `restore`.
    """

    def __init__(self, problem: Problem, *, seed: int, stream: str, rounds: int) -> None:
        """`stream` names its random numbers; `rounds` is how often it draws to replace duplicates
        before the space counts as exhausted.
        """
        self._problem = problem
        self._kinds = variation.GeneKinds.of(problem.space.genes)
        self._rng = generator_for(seed, stream)
        self._seen = Seen(problem.space)
        self._lineage = Lineage.same("sample", 0)
        self._rounds = rounds

    @abstractmethod
    def _draw(self, count: int, number: int) -> tuple[Choices, Lineage]:
        """Canonical rows, new or not, and how they were made; `number` counts the rounds of one
        `ask`. There may be more than `count`.
        """

    @abstractmethod
    def tell(self, records: Sequence[Record]) -> None:
        """Takes finished records."""

    def ask(self, count: int) -> Choices:
        choices, self._lineage = self._propose(count)
        return choices

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Lineage:
        return self._lineage

    def state(self) -> dict[str, Any]:
        return {"rng": self._rng.bit_generator.state, "seen": self._seen.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rng.bit_generator.state = state["rng"]
        self._seen.restore(state["seen"])

    def _propose(self, count: int) -> tuple[Choices, Lineage]:
        return self._new(count, self._draw)

    def _new(self, count: int, draw: Draw) -> tuple[Choices, Lineage]:
        """Up to `count` rows of `draw` that it has not met."""
        return ask_new(self._seen, count, len(self._kinds.counts), draw, rounds=self._rounds)

    def _sampled(self, count: int) -> tuple[Choices, Lineage]:
        """Rows of which every gene is uniform and independent."""
        drawn = variation.sample(self._kinds, count, self._rng)
        return self._problem.space.repair(drawn), Lineage.same("sample", count)


class ArchiveBreeder(Breeder):
    """A breeder that draws from an archive of the best it was told of."""

    def __init__(self, problem: Problem, *, seed: int, stream: str, rounds: int) -> None:
        super().__init__(problem, seed=seed, stream=stream, rounds=rounds)
        self._archive = Archive(problem)

    @abstractmethod
    def _kept(self) -> NDArray[np.int64]:
        """Indices of what stays in the archive, in this order."""

    def tell(self, records: Sequence[Record]) -> None:
        self._seen.add(self._archive.add(records).keys)
        self._archive.keep(self._kept())

    def state(self) -> dict[str, Any]:
        return {**super().state(), "archive": self._archive.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._archive.restore(state["archive"])
