"""A small made-up space with known values, for tests that need no network: fast, exact,
deterministic.
"""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import os
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evoray.problem.problem import Constraint, Problem
from objectives.base import Candidate, Goal, Measurement, MeasurementError, Needs, Value
from searchspaces.base import Architecture, Choices, Gene, architectures


@dataclass(frozen=True)
class TableSpace:
    """Depth 1-3 and up to three layer widths; a layer beyond the depth is inactive, so different
    rows can be one network.
    """

    name: str = "table"
    num_options: int = 6

    @property
    def genes(self) -> tuple[Gene, ...]:
        widths = tuple(range(8, 8 * (self.num_options + 1), 8))
        return (
            Gene("depth", (1, 2, 3)),
            *(Gene(f"layer{i}.width", widths) for i in range(3)),
            Gene("activation", ("relu", "gelu")),
        )

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {}

    def repair(self, choices: Choices) -> Choices:
        counts = np.array([len(g.options) for g in self.genes], dtype=np.int16)
        fixed = np.clip(choices, 0, counts - 1).astype(np.int16)
        depth = fixed[:, :1] + 1
        fixed[:, 1:4] = np.where(np.arange(3) < depth, fixed[:, 1:4], 0)
        return fixed

    def costs(self, choices: Choices) -> dict[str, NDArray[np.float64]]:
        active = np.arange(3) < choices[:, :1] + 1
        widths = np.where(active, (choices[:, 1:4] + 1) * 8, 0).astype(np.float64)
        return {"macs": (widths**2).sum(axis=1) + 10.0, "params": widths.sum(axis=1) + 1.0}

    def build_supernet(self) -> nn.Module:
        return nn.Linear(1, 1)

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        return nn.Linear(1, 1)


@dataclass(frozen=True)
class DecodedSpace(TableSpace):
    """TableSpace with two genes more, which say how a network's output is read."""

    name: str = "decoded"
    decoding_genes: tuple[str, ...] = ("threshold", "overlap")

    @property
    def genes(self) -> tuple[Gene, ...]:
        return (
            *super().genes,
            Gene("threshold", (0.1, 0.3, 0.5, 0.7)),
            Gene("overlap", (0.2, 0.4, 0.6)),
        )

    def repair(self, choices: Choices) -> Choices:
        fixed = TableSpace(num_options=self.num_options).repair(choices[:, :5])
        decoding = np.clip(choices[:, 5:], 0, np.array([3, 2]))
        return np.concatenate([fixed, decoding], axis=1).astype(np.int16)


@dataclass(frozen=True)
class Macs:
    """The analytic cost of TableSpace."""

    space: TableSpace = field(default_factory=TableSpace)
    name: str = "macs"
    unit: str = "MACs"
    goal: Goal = Goal.MINIMIZE

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        return self.space.costs(choices)["macs"]


@dataclass(frozen=True)
class Score:
    """A made-up accuracy: grows with the size, with a bump from a hash of the choices.
    Deterministic.

    Attributes:
        seconds: Sleeps so long in each measurement.
    """

    name: str = "score"
    unit: str = "%"
    goal: Goal = Goal.MAXIMIZE
    needs: Needs = field(default_factory=Needs)
    seconds: float = 0.0
    log: str = ""

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def measure(self, candidate: Candidate) -> float:
        if self.seconds:
            time.sleep(self.seconds)
        if self.log:
            with open(self.log, "a", encoding="utf-8") as stream:
                stream.write(candidate.architecture.key + "\n")
        return score_of(candidate.architecture)


def score_of(architecture: Architecture) -> float:
    """Computes the value that Score measures."""
    bump = _hash(architecture.key) % 1000 / 100.0
    choices = np.array(architecture.choices)
    return float(50 + 20 * np.log1p(TableSpace().costs(choices[None])["macs"][0]) / 8 + bump)


@dataclass(frozen=True)
class Faulty:
    """Wraps an objective; fails for a repeatable share of the keys, in a chosen way.

    Attributes:
        share: Share of candidates that fail.
        how: "raise", "nan", "hang", "die", "segfault", "exhaust" (more memory than there can be),
            "error" (MeasurementError), "none" (a wrong type).
    """

    inner: Score = field(default_factory=Score)
    share: float = 0.2
    how: str = "raise"

    name = property(lambda self: self.inner.name)
    unit = property(lambda self: self.inner.unit)
    goal = property(lambda self: self.inner.goal)
    needs = property(lambda self: self.inner.needs)

    def open(self, device: torch.device) -> None:
        self.inner.open(device)

    def fails(self, key: str) -> bool:
        return _hash("fault" + key) % 1000 < 1000 * self.share

    def measure(self, candidate: Candidate) -> float:
        if self.fails(candidate.architecture.key):
            if self.how == "raise":
                raise ZeroDivisionError("made to fail")
            if self.how == "error":
                raise MeasurementError(f"{candidate.architecture.key} cannot be measured")
            if self.how == "nan":
                return float("nan")
            if self.how == "hang":
                time.sleep(3600)
            if self.how == "die":
                os._exit(1)
            if self.how == "segfault":
                ctypes.string_at(0)
            if self.how == "exhaust":
                bytearray(1 << 60)
            return None  # type: ignore[return-value]
        return self.inner.measure(candidate)


@dataclass(frozen=True)
class Scores:
    """Three values of one look at a TableSpace network, and a small file about it.

    Attributes:
        name: Name of the measurement.
        broken: The value that is NaN for a repeatable third of the keys; "" for none.
        file: The name of the file that it leaves; "" for none.
        log: A file to which every look adds a line.
    """

    name: str = "scores"
    broken: str = ""
    file: str = ""
    log: str = ""
    needs: Needs = field(default_factory=Needs)

    @property
    def yields(self) -> tuple[Value, ...]:
        return (
            Value("score", "%", Goal.MAXIMIZE),
            Value("rest", "%", Goal.MINIMIZE),
            Value("bump", "", Goal.MINIMIZE),
        )

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def fails(self, key: str) -> bool:
        return bool(self.broken) and _hash("broken" + key) % 3 == 0

    def measure(self, candidate: Candidate) -> Measurement:
        key = candidate.architecture.key
        if self.log:
            with open(self.log, "a", encoding="utf-8") as stream:
                stream.write(key + "\n")
        score = score_of(candidate.architecture)
        values = {"bump": float(_hash(key) % 1000), "rest": 100.0 - score, "score": score}
        if self.fails(key):
            values[self.broken] = float("nan")
        return Measurement(values, {self.file: key.encode()} if self.file else {})


@dataclass(frozen=True)
class Detection:
    """Two values of a DecodedSpace candidate: what its network predicts, and what decoding makes of
    that.

    Attributes:
        log: A file to which every forward pass adds a line.
        size: Numbers that the network predicts.
        broken: Makes the forward pass fail for a repeatable third of the networks.
    """

    name: str = "detection"
    needs: Needs = field(default_factory=Needs)
    log: str = ""
    size: int = 100
    broken: bool = False

    @property
    def yields(self) -> tuple[Value, ...]:
        return (Value("precision", "%", Goal.MAXIMIZE), Value("found", "%", Goal.MAXIMIZE))

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def infer(self, candidate: Candidate) -> NDArray[np.float64]:
        network = candidate.architecture.choices[:5]
        if self.log:
            with open(self.log, "a", encoding="utf-8") as stream:
                stream.write(f"{network}\n")
        if self.broken and _hash(str(network)) % 3 == 0:
            raise MeasurementError(f"{candidate.architecture.key} predicts NaN")
        return np.random.default_rng(_hash(str(network))).random(self.size)

    def score(
        self, predictions: NDArray[np.float64], decoding: Mapping[str, Any]
    ) -> dict[str, float]:
        above = predictions[predictions > decoding["threshold"]]
        return {
            "found": 100.0 * len(above) / len(predictions),
            "precision": float(above.mean() + decoding["overlap"]),
        }

    def measure(self, candidate: Candidate) -> dict[str, float]:
        return self.score(self.infer(candidate), candidate.decoding)


@dataclass(frozen=True)
class Whole:
    """Measures as `inner` does, which is not asked for its halves."""

    inner: Detection

    name = property(lambda self: self.inner.name)
    needs = property(lambda self: self.inner.needs)
    yields = property(lambda self: self.inner.yields)

    def open(self, device: torch.device) -> None:
        self.inner.open(device)

    def measure(self, candidate: Candidate) -> dict[str, float]:
        return self.inner.measure(candidate)


def decoded_candidates(num_networks: int, each: int) -> list[Architecture]:
    """Networks of a DecodedSpace, each with so many ways of decoding (at most 12); those of one
    network never beside each other.
    """
    space = DecodedSpace()
    rows = np.random.default_rng(0).integers(0, 6, (20 * num_networks, 7)).astype(np.int16)
    networks = np.unique(space.repair(rows)[:, :5], axis=0)[:num_networks]
    decodings = [(i, j) for i in range(4) for j in range(3)][:each]
    choices = [(*network, *decoding) for decoding in decodings for network in networks.tolist()]
    return architectures(space, np.array(choices, dtype=np.int16))


@dataclass(frozen=True)
class Leaky(Score):
    """A Score that leaks memory with every measurement, in a process that may take only so much
    more than it has when it is opened.

    Attributes:
        limit_bytes: Bytes of address space; what is leaked is never touched, so the machine does
            not notice.
        leak_bytes: Each time.
    """

    limit_bytes: int = 400 << 20
    leak_bytes: int = 40 << 20

    def open(self, device: torch.device) -> None:
        with open("/proc/self/statm", encoding="utf-8") as stream:
            now = int(stream.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(
            resource.RLIMIT_AS, (now + self.limit_bytes, resource.getrlimit(resource.RLIMIT_AS)[1])
        )

    def measure(self, candidate: Candidate) -> float:
        _LEAKED.append(bytearray(self.leak_bytes))
        return super().measure(candidate)


_LEAKED: list[bytearray] = []


def table_problem(
    *constraints: Constraint,
    score: Score | Faulty | Scores | None = None,
    targets: tuple[str, ...] = ("score", "macs"),
) -> Problem:
    """TableSpace under a made-up score and its MACs."""
    space = TableSpace()
    return Problem(space, (score or Score(),), (Macs(space),), targets, constraints)  # type: ignore[arg-type]


def replaced(score: Score, **changes: object) -> Score:
    return dataclasses.replace(score, **changes)  # type: ignore[arg-type]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
