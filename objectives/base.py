"""The objective contracts: what is measured on a worker, and what is computed from genes before
anything is dispatched.

An objective imports nothing of the platform: data and recalibration are handed in as small
picklable objects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from searchspaces.base import Architecture, Choices, SearchSpace


class Goal(Enum):
    """Which way is better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> float:
        """What turns a value into a loss: +1 for MINIMIZE, -1 for MAXIMIZE."""
        return 1.0 if self is Goal.MINIMIZE else -1.0


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What one worker of an objective takes from its machine.

    Attributes:
        cpus: Cores.
        gpus: Accelerators; a fraction shares one.
        memory: Bytes; 0 for no reservation.
        label: A custom resource that the machine must offer, such as "pixel6"; "" for any machine.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0
    label: str = ""

    def __post_init__(self) -> None:
        if self.cpus < 0 or self.gpus < 0 or self.memory < 0:
            raise ValueError(f"needs must not be negative, got {self}")


class MeasurementError(Exception):
    """A candidate could not be measured: it becomes a failed record, the search goes on. Takes one
    message.
    """


class Candidate:
    """One architecture on a worker.

    Attributes:
        architecture: What is measured.
        supernet: The trained supernet, or None where objectives need no weights. Shared: do not
            write to it.
    """

    def __init__(
        self, space: SearchSpace, architecture: Architecture, supernet: nn.Module | None = None
    ) -> None:
        self._space = space
        self.architecture = architecture
        self.supernet = supernet

    @cached_property
    def subnet(self) -> nn.Module:
        """The stand-alone network, built on first use; freshly initialised where there is no
        supernet. The caller may change it.
        """
        return self._space.build_subnet(self.supernet, self.architecture)


class BuiltCandidate(Candidate):
    """A candidate whose network is there already, such as one that was trained alone."""

    def __init__(self, space: SearchSpace, architecture: Architecture, network: nn.Module) -> None:
        super().__init__(space, architecture)
        self.__dict__["subnet"] = network


class Objective(Protocol):
    """Something measured on a built network. Opened once in a worker, where it holds its data and
    device.
    """

    @property
    def name(self) -> str:
        """A column name: lower snake case, "latency" or "latency@pixel6"."""
        ...

    @property
    def unit(self) -> str:
        """For tables and plots: "ms", "%"."""
        ...

    @property
    def goal(self) -> Goal: ...

    @property
    def needs(self) -> Needs: ...

    def open(self, device: torch.device) -> None:
        """Gets data, clocks and device; called once in the worker, a second call does nothing."""
        ...

    def measure(self, candidate: Candidate) -> float:
        """A finite value in `unit`.

        Raises:
            MeasurementError: It cannot be measured; names the architecture's key.
        """
        ...


@runtime_checkable
class PartlyMeasurable(Protocol):
    """An objective that can also be estimated on a part of its data, for less: what successive
    halving needs.
    """

    def measure_part(self, candidate: Candidate, share: float) -> float:
        """As `Objective.measure`, on this share (0 to 1) of what it looks at; a larger share
        contains a smaller one.
        """
        ...


@runtime_checkable
class DependsOnPart(Protocol):
    """An objective whose value depends on a part of the candidate alone, such as one network of
    several on a chip.
    """

    def subject(self, architecture: Architecture) -> str:
        """Text id of that part; candidates with equal ones have the same value, also under other
        objectives of the same subjects.
        """
        ...


@runtime_checkable
class Combined(Protocol):
    """An objective that is computed from others' values, so that nothing is measured for it."""

    def combine(self, values: Mapping[str, float]) -> float:
        """Its value, from the measured values by name."""
        ...


class CostModel(Protocol):
    """Something computed from genes alone: pure and vectorised; runs before anything is
    dispatched.
    """

    @property
    def name(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def goal(self) -> Goal: ...

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        """(n, g) canonical choices -> (n,) finite values in `unit`."""
        ...


class Split(Protocol):
    """One part of a data set, opened."""

    def __len__(self) -> int:
        """Number of images."""
        ...

    def images(self, indices: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) float32, normalised, not augmented."""
        ...


class LabelledSplit(Split, Protocol):
    """One part of a data set with classes, opened."""

    @property
    def labels(self) -> torch.Tensor:
        """(n,) int64 class of every image, or (n, h, w) of every pixel."""
        ...


class DataSource(Protocol):
    """A data set of images: small and picklable; a worker opens the split it needs."""

    @property
    def name(self) -> str: ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of what a split returns."""
        ...

    def open(self, split: str) -> Split:
        """The "train", "val" or "test" part; val is held out of train and is what a search may look
        at.
        """
        ...


class LabelledSource(DataSource, Protocol):
    """A data set with classes, of its images or their pixels."""

    @property
    def num_classes(self) -> int: ...

    def open(self, split: str) -> LabelledSplit: ...


class Recalibration(Protocol):
    """Recomputes a network's batch-norm statistics in place on training images; small and
    picklable.
    """

    def __call__(self, network: nn.Module, device: torch.device) -> None: ...
