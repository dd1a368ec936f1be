"""Searchers around another library's algorithm, whose state is the log of what it was asked and
told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray.problem.problem import Problem
from evoray.records.records import Record, Records
from evoray.searchers.base import Lineage
from evoray.searchers.parts.seen import Seen
from searchspaces.base import Choices


class Replayed(ABC):
    """A searcher around another library's algorithm. Its state is the log of what was asked and
    told: restoring repeats it.

    That needs no pickle and works for every algorithm that is a function of its seed; it takes as
    long as the algorithm thought.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._seen = Seen(problem.space)
        self._log: list[dict[str, Any]] = []
        self._lineage = Lineage.same("sample", 0)

    @abstractmethod
    def _start(self) -> None:
        """Builds the algorithm anew from its seed."""

    @abstractmethod
    def _ask(self, count: int) -> tuple[Choices, Lineage]:
        """Does the work of `ask`, and returns the rows with their lineage."""

    @abstractmethod
    def _tell(
        self, choices: Choices, losses: NDArray[np.float64], violations: NDArray[np.float64]
    ) -> None:
        """Distinct networks in the order of their keys; what failed has WORST_VIOLATION."""

    def ask(self, count: int) -> Choices:
        self._log.append({"ask": count})
        choices, self._lineage = self._ask(count)
        return choices

    def tell(self, records: Sequence[Record]) -> None:
        columns = Records.of(records, len(self._problem.space.genes))
        if len(columns) == 0:
            return
        columns = columns.take(np.argsort(columns.keys, kind="stable"))
        losses, violations = self._problem.losses(columns)
        told = {
            "choices": columns.choices.tolist(),
            "losses": losses.tolist(),
            "violations": violations.tolist(),
        }
        self._log.append(told)
        self._tell(columns.choices, losses, violations)

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Lineage:
        return self._lineage

    def state(self) -> dict[str, Any]:
        return {"log": list(self._log), "seed": self._seed}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._seed, self._log = state["seed"], list(state["log"])
        self._seen = Seen(self._problem.space)
        self._start()
        for entry in self._log:
            if "ask" in entry:
                self._lineage = self._ask(entry["ask"])[1]
            else:
                choices = np.array(entry["choices"], dtype=np.int16)
                self._tell(choices, np.array(entry["losses"]), np.array(entry["violations"]))

    _seed: int
