"""An archive: the candidates a searcher remembers, as arrays, each network once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray.problem.problem import Problem
from evoray.records.records import Record, Records
from searchspaces.base import Choices, Keys, key_array


class Archive:
    """Choices with their losses and violations.

    Attributes:
        choices: (n, g) int16, canonical and distinct.
        keys: (n,) their text ids.
        losses: (n, m) float64; of a candidate that lacks a target they mean nothing, and its
            violation is positive.
        violations: (n,) float64.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.choices: Choices = np.zeros((0, len(problem.space.genes)), dtype=np.int16)
        self.keys: Keys = key_array(problem.space, self.choices)
        self.losses: NDArray[np.float64] = np.zeros((0, len(problem.targets)))
        self.violations: NDArray[np.float64] = np.zeros(0)

    def __len__(self) -> int:
        return len(self.choices)

    def add(self, records: Sequence[Record]) -> Records:
        """Adds the records, whatever their order; a network that is there already stays as it is.
        Returns those that were new.
        """
        columns = Records.of(records, self.choices.shape[1])
        order = np.argsort(columns.keys, kind="stable")
        texts, known = columns.keys[order].tolist(), set(self.keys.tolist())
        if len(set(texts)) < len(texts) or not known.isdisjoint(texts):
            first = {text: i for i, text in reversed(list(enumerate(texts))) if text not in known}
            order = order[sorted(first.values())]
        fresh = columns.take(order)
        losses, violations = self._problem.losses(fresh)
        self.choices = np.concatenate(
            [self.choices, fresh.choices.reshape(len(fresh), self.choices.shape[1])]
        )
        self.keys = np.concatenate([self.keys, fresh.keys.astype(self.keys.dtype)])
        self.losses = np.concatenate([self.losses, losses])
        self.violations = np.concatenate([self.violations, violations])
        return fresh

    def keep(self, indices: NDArray[np.int64]) -> None:
        """Forgets all but these, in this order."""
        self.choices, self.keys = self.choices[indices], self.keys[indices]
        self.losses, self.violations = self.losses[indices], self.violations[indices]

    def state(self) -> dict[str, Any]:
        """Networks, losses and violations as JSON."""
        return {
            "choices": self.choices.tolist(),
            "losses": self.losses.tolist(),
            "violations": self.violations.tolist(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.choices = np.array(state["choices"], dtype=np.int16).reshape(-1, self.choices.shape[1])
        self.keys = key_array(self._problem.space, self.choices)
        self.losses = np.array(state["losses"], dtype=np.float64).reshape(-1, self.losses.shape[1])
        self.violations = np.array(state["violations"], dtype=np.float64)
