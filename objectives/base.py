"""The objective contracts: what is measured on a worker, and what is computed from genes before
anything is dispatched.

An objective imports nothing of the platform: data and recalibration are handed in as small
picklable objects.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Architecture, Choices, Option, SearchSpace, decoding_columns

if TYPE_CHECKING:  # named only: whoever searches, or computes costs, needs no torch
    import torch
    from torch import nn

_LARGEST_FILE_BYTES = 1_000_000
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class Goal(Enum):
    """Direction in which a value is better."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"

    @property
    def sign(self) -> float:
        """The factor that turns a value into a loss: +1 for MINIMIZE, -1 for MAXIMIZE."""
        return 1.0 if self is Goal.MINIMIZE else -1.0


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Resources that one worker of an objective takes from its machine.

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


@dataclass(frozen=True)
class Value:
    """One of the values that a measurement yields.

    Attributes:
        name: A column name, as `Objective.name`.
        unit: Unit for tables and plots: "ms", "%".
        goal: Direction in which the value is better; its text, such as "maximize", will do.
    """

    name: str
    unit: str
    goal: Goal

    def __post_init__(self) -> None:
        object.__setattr__(self, "goal", Goal(self.goal))


@dataclass(frozen=True)
class Measurement:
    """The result of measuring one candidate, where it is more than one number.

    Attributes:
        values: Every value of the objective by name, finite and in its unit.
        files: Small files about the candidate by name, such as a picture; a search with a run
            folder keeps them there. Each is less than 1 MB, and its name of letters, digits and
            "_.-".
    """

    values: Mapping[str, float]
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, content in self.files.items():
            if not isinstance(name, str) or not _FILE_NAME.fullmatch(name):
                raise ValueError(
                    f"a candidate's file needs a name of up to 64 letters, digits and _.-, got "
                    f"{name!r:.100}"
                )
            if not isinstance(content, bytes) or len(content) >= _LARGEST_FILE_BYTES:
                got = f"{len(content):,}" if isinstance(content, bytes) else type(content).__name__
                raise ValueError(
                    f"a candidate's file holds less than {_LARGEST_FILE_BYTES:,} bytes, got {got} "
                    f"for {name!r}"
                )


class MeasurementError(Exception):
    """A candidate could not be measured: it becomes a failed record, the search goes on. Takes one
    message.
    """


class Candidate:
    """One architecture on a worker.

    Attributes:
        architecture: Architecture to measure.
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

    @property
    def decoding(self) -> dict[str, Option]:
        """The options of the genes that only decoding sees, by gene name."""
        return {
            self._space.genes[column].name: self._space.genes[column].options[
                self.architecture.choices[column]
            ]
            for column in decoding_columns(self._space)
        }


class BuiltCandidate(Candidate):
    """A candidate whose network is there already, such as one that was trained alone."""

    def __init__(self, space: SearchSpace, architecture: Architecture, network: nn.Module) -> None:
        super().__init__(space, architecture)
        self.__dict__["subnet"] = network


class Measurable(Protocol):
    """Something measured on a built network: an `Objective` with one value, or a `Multivalued` one.
    Opened once in a worker, where it holds its data and device.
    """

    @property
    def name(self) -> str:
        """A column name: lower snake case, "latency" or "latency@pixel6"."""
        ...

    @property
    def needs(self) -> Needs: ...

    def open(self, device: torch.device) -> None:
        """Gets data, clocks and device; called once in the worker, a second call does nothing."""
        ...

    def measure(self, candidate: Candidate) -> Any:  # Any: each kind says what it returns
        """Looks at the candidate once.

        Raises:
            MeasurementError: It cannot be measured; names the architecture's key.
        """
        ...


class Objective(Measurable, Protocol):
    """A measured objective with one value, which bears the objective's name."""

    @property
    def unit(self) -> str:
        """Unit for tables and plots: "ms", "%"."""
        ...

    @property
    def goal(self) -> Goal: ...

    def measure(self, candidate: Candidate) -> float:
        """A finite value in `unit`; a `Measurement` with that one value where it leaves files.

        Raises:
            MeasurementError: It cannot be measured; names the architecture's key.
        """
        ...


@runtime_checkable
class Multivalued(Measurable, Protocol):
    """An objective that yields several values of one look at a network, with one error and one
    time; its name stands for all of them.
    """

    @property
    def yields(self) -> tuple[Value, ...]:
        """Values of one measurement, at least one."""
        ...

    def measure(self, candidate: Candidate) -> Mapping[str, float] | Measurement:
        """A finite number for every one that it yields, by name.

        Raises:
            MeasurementError: It cannot be measured; names the architecture's key.
        """
        ...


@runtime_checkable
class Separable(Measurable, Protocol):
    """An objective that measures in two halves, so that candidates which differ in decoding genes
    alone cost one forward pass together.

    Its `measure(candidate)` is `score(infer(candidate), candidate.decoding)`. The halves are used
    where the space has decoding genes; the first candidate of a network then carries the time of
    both, the others that of the second.
    """

    def infer(self, candidate: Candidate) -> Any:
        """The network's predictions, which depend on no decoding gene.

        Raises:
            MeasurementError: The network cannot be measured.
        """
        ...

    def score(self, predictions: Any, decoding: Mapping[str, Option]) -> Any:
        """Returns what `measure` returns, from predictions, which it leaves as they are, and the
        options of the decoding genes by name.

        Raises:
            MeasurementError: The predictions cannot be scored.
        """
        ...


@runtime_checkable
class Measures(Protocol):
    """An objective that is measured, whatever else it may lack; a cost model has no such method."""

    def measure(self, candidate: Candidate) -> Any:
        """Looks at the candidate once."""
        ...


@runtime_checkable
class HasTolerance(Protocol):
    """An objective of which two measurements of one candidate may differ."""

    @property
    def tolerance(self) -> float:
        """The largest difference, relative to the value."""
        ...


def is_measured(objective: Any) -> bool:  # Any: either kind, or what only claims to be one
    """True for what workers measure, False for what is computed from genes."""
    return isinstance(objective, Measures)


def values_of(objective: Any) -> tuple[Value, ...]:  # Any: either kind
    """The values that a measured objective yields."""
    if isinstance(objective, Multivalued):
        return tuple(objective.yields)
    return (Value(objective.name, objective.unit, objective.goal),)


def answered(
    objective: str, names: Sequence[str], answer: Any
) -> tuple[tuple[float, ...], Mapping[str, bytes]]:
    """Values in the order of their names, and files, of what a measured objective returned.

    Args:
        objective: Its name.
        names: Names of the values that it yields.
        answer: A number, numbers by name, or a `Measurement`.

    Raises:
        TypeError: A value is no real number.
        ValueError: There are other values than the objective yields, or a text of no number.
    """
    files: Mapping[str, bytes] = {}
    if isinstance(answer, Measurement):
        answer, files = answer.values, answer.files
    if not isinstance(answer, Mapping):
        answer = {objective: answer}
    if answer.keys() != set(names):
        raise ValueError(
            f"must return the values {', '.join(names)}, got "
            f"{', '.join(map(str, answer)) or 'none'}"
        )
    return tuple(_real(answer[name]) for name in names), files


def values_by_name(objective: Measurable, candidate: Candidate) -> dict[str, float]:
    """Measures a candidate once: the objective's values by name, whatever it returns them as.

    Raises:
        MeasurementError: The candidate cannot be measured.
    """
    names = [value.name for value in values_of(objective)]
    values, _ = answered(objective.name, names, objective.measure(candidate))
    return dict(zip(names, values, strict=True))


def _real(value: Any) -> float:  # Any: whatever an objective returns
    """
    Raises:
        TypeError: It is no real number; numpy would drop the imaginary part of a complex one.
        ValueError: It is a text of no number.
    """
    if np.iscomplexobj(value):
        raise TypeError(f"must return a real number, got the complex number {value!r:.80}")
    return float(value)


@runtime_checkable
class PartlyMeasurable(Protocol):
    """An objective that can also be estimated on a part of its data, for less: what successive
    halving needs.
    """

    def measure_part(self, candidate: Candidate, share: float) -> Any:
        """Returns what `measure` returns, of this share (0 to 1) of what it looks at; a larger
        share contains a smaller one.
        """
        ...


@runtime_checkable
class DependsOnPart(Protocol):
    """An objective that looks at a part of the candidate alone, such as one network of several on a
    chip.
    """

    def subject(self, architecture: Architecture) -> str:
        """Text id of that part; candidates with equal ones have the same value (of a `Separable`
        one, the same predictions), also under other objectives of the same subjects.
        """
        ...


@runtime_checkable
class Combined(Protocol):
    """An objective that is computed from others' values, so that nothing is measured for it."""

    def combine(self, values: Mapping[str, float]) -> float:
        """Computes its value from the measured values by name."""
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


@runtime_checkable
class HasClasses(Protocol):
    """Data with classes."""

    @property
    def num_classes(self) -> int: ...


class LabelledSource(DataSource, HasClasses, Protocol):
    """A data set with classes, of its images or their pixels."""

    def open(self, split: str) -> LabelledSplit: ...


class Recalibration(Protocol):
    """Recomputes a network's batch-norm statistics in place on training images; small and
    picklable.
    """

    def __call__(self, network: nn.Module, device: torch.device) -> None: ...
