"""An archive: the candidates a searcher remembers, as arrays, each network once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray.problem import Problem
from evoray.records import Record
from searchspaces.base import Choices


class Archive:
    """Choices with their losses and violations.

    Attributes:
        choices: (n, g) int16, canonical and distinct.
        losses: (n, m) float64; of a candidate that lacks a target they mean nothing, and its violation is positive.
        violations: (n,) float64.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.choices: Choices = np.zeros((0, len(problem.space.genes)), dtype=np.int16)
        self.losses: NDArray[np.float64] = np.zeros((0, len(problem.targets)))
        self.violations: NDArray[np.float64] = np.zeros(0)

    def __len__(self) -> int:
        return len(self.choices)

    def add(self, records: Sequence[Record]) -> Choices:
        """Adds the records, whatever their order; a network that is there already stays as it is. Returns their choices."""
        ordered = sorted(records, key=lambda r: r.key)
        losses, violations = self._problem.losses(ordered)
        choices = np.array([r.choices for r in ordered], dtype=np.int16).reshape(len(ordered), self.choices.shape[1])
        every = np.concatenate([self.choices, choices])
        first = np.sort(np.unique(every, axis=0, return_index=True)[1])
        self.choices = every[first]
        self.losses = np.concatenate([self.losses, losses])[first]
        self.violations = np.concatenate([self.violations, violations])[first]
        return choices

    def keep(self, indices: NDArray[np.int64]) -> None:
        """Forgets all but these, in this order."""
        self.choices, self.losses, self.violations = self.choices[indices], self.losses[indices], self.violations[indices]

    def state(self) -> dict[str, Any]:
        """As JSON."""
        return {"choices": self.choices.tolist(), "losses": self.losses.tolist(), "violations": self.violations.tolist()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.choices = np.array(state["choices"], dtype=np.int16).reshape(-1, self.choices.shape[1])
        self.losses = np.array(state["losses"], dtype=np.float64).reshape(-1, self.losses.shape[1])
        self.violations = np.array(state["violations"], dtype=np.float64)
