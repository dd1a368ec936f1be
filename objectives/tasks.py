"""Objectives of several tasks in one candidate: each task's own objective on its own network, and
their weighted mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from objectives.base import Candidate, Goal, HasTolerance, MeasurementError, Needs, Objective
from searchspaces.base import Architecture, SearchSpace, nearest


class Joint(Protocol):
    """A space of several networks."""

    @property
    def networks(self) -> Mapping[str, SearchSpace]:
        """Spaces of the networks, by label."""
        ...

    def architectures(self, architecture: Architecture) -> Mapping[str, Architecture]:
        """The networks' own architectures, by label."""
        ...


class TaskObjective:
    """One task's objective, measured on the task's network, named "OBJECTIVE@TASK".

    The candidate's supernet holds the tasks' own as `networks`, by label.
    """

    def __init__(self, space: Joint, label: str, inner: Objective, *, data: str = "") -> None:
        """`data` tells tasks apart whose networks and objective are alike; equal ones share their
        measurements. "" is the label.

        Raises:
            ValueError: The space has no such network.
        """
        if label not in space.networks:
            raise ValueError(f"no task {label!r} in this space; {nearest(label, space.networks)}")
        self._space = space
        self._label = label
        self._inner = inner
        self._data = data or label
        self.name = f"{inner.name}@{label}"
        self.unit = inner.unit
        self.goal = inner.goal
        self.tolerance = inner.tolerance if isinstance(inner, HasTolerance) else 0.0

    @property
    def needs(self) -> Needs:
        return self._inner.needs

    def open(self, device: torch.device) -> None:
        self._inner.open(device)

    def subject(self, architecture: Architecture) -> str:
        """The task's network and data."""
        return f"{self._data} {self._space.architectures(architecture)[self._label].key}"

    def measure(self, candidate: Candidate) -> float:
        """Measures the task's objective on the task's network.

        Raises:
            MeasurementError: The task's objective raised it.
        """
        own = self._space.architectures(candidate.architecture)[self._label]
        supernet: Any = candidate.supernet  # Any: a module with `networks`
        part = None if supernet is None else supernet.networks[self._label]
        try:
            return self._inner.measure(Candidate(self._space.networks[self._label], own, part))
        except MeasurementError as error:
            raise MeasurementError(
                f"{candidate.architecture.key}: {self._label}: {error}"
            ) from None


class WeightedMean:
    """The mean of other objectives of one unit, such as the accuracies of all tasks; combined,
    never measured.

    Attributes:
        weights: Weights by objective's name; their sum is 1.
    """

    goal = Goal.MAXIMIZE
    needs = Needs(cpus=0.0)

    def __init__(
        self, weights: Mapping[str, float], *, name: str = "accuracy", unit: str = "%"
    ) -> None:
        """Weights are divided by their sum."""
        total = sum(weights.values())
        if not weights or min(weights.values()) < 0 or not total > 0:
            raise ValueError(
                f"a weighted mean needs weights of at least 0 and one above, got {dict(weights)}"
            )
        self.weights = {of: weight / total for of, weight in weights.items()}
        self.name = name
        self.unit = unit

    def combine(self, values: Mapping[str, float]) -> float:
        """Weighted mean of the values by name."""
        return sum(weight * values[of] for of, weight in self.weights.items())

    def open(self, device: torch.device) -> None:
        """Opens nothing."""

    def measure(self, candidate: Candidate) -> float:
        raise RuntimeError(
            f"{self.name!r} is the mean of {', '.join(self.weights)} and cannot be measured: use a "
            "SharedEvaluator"
        )


def build(space: Joint, label: str, inner: Objective) -> TaskObjective:
    """The objective of one task."""
    return TaskObjective(space, label, inner)
