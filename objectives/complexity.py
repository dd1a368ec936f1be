"""Costs that a space computes from genes: multiply-accumulates, parameters, and whatever else it
offers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectives.base import Goal
from searchspaces.base import Choices, SearchSpace, nearest, smallest

_UNITS = {"macs": "MACs", "params": "parameters"}


class Cost:
    """One column of `space.costs`, to be minimised: exact, vectorised, no network built."""

    goal = Goal.MINIMIZE

    def __init__(self, space: SearchSpace, name: str) -> None:
        known = space.costs(np.array([smallest(space).choices], dtype=np.int16))
        if name not in known:
            raise ValueError(f"space {space.name!r} has no cost {name!r}; {nearest(name, known)}")
        self._space = space
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    @property
    def unit(self) -> str:
        return _UNITS.get(self._name, "")

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        """(n, g) canonical choices -> (n,)."""
        return np.asarray(self._space.costs(choices)[self._name], dtype=np.float64)


def build(space: SearchSpace, name: str = "macs") -> Cost:
    """The space's cost of this name."""
    return Cost(space, name)
