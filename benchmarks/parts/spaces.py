"""Problems that several benchmarks search: a plain grid of genes, and objectives that cost nothing
or a known time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evoray.seeds import seed_for
from objectives.base import Candidate, Goal, Needs
from searchspaces.base import Architecture, Choices, Gene


@dataclass(frozen=True)
class Grid:
    """`num_genes` genes of `num_options` options; every row is a network of its own."""

    num_genes: int = 20
    num_options: int = 10
    name: str = "grid"

    @property
    def genes(self) -> tuple[Gene, ...]:
        return _genes(self.num_genes, self.num_options)

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {}

    def repair(self, choices: Choices) -> Choices:
        return choices

    def costs(self, choices: Choices) -> dict[str, NDArray[np.float64]]:
        return {"sum": choices.sum(axis=1).astype(np.float64)}

    def build_supernet(self) -> nn.Module:
        return nn.Identity()

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        return nn.Identity()


_made: dict[tuple[int, int], tuple[Gene, ...]] = {}


def _genes(num_genes: int, num_options: int) -> tuple[Gene, ...]:
    if (num_genes, num_options) not in _made:
        _made[num_genes, num_options] = tuple(
            Gene(f"g{i}", tuple(range(num_options))) for i in range(num_genes)
        )
    return _made[num_genes, num_options]


@dataclass(frozen=True)
class Nothing:
    """An objective that does nothing."""

    name: str = "nothing"
    unit: str = ""
    goal: Goal = Goal.MINIMIZE
    needs: Needs = field(default_factory=Needs)

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def measure(self, candidate: Candidate) -> float:
        return 0.0


@dataclass(frozen=True)
class Sleeping:
    """Sleeps for a time that depends on the candidate alone: constant, or lognormal around
    `seconds`.

    Attributes:
        seconds: The median.
        sigma: Standard deviation of the logarithm; 0 for always the same time.
    """

    seconds: float = 0.01
    sigma: float = 0.0
    name: str = "sleeping"
    unit: str = "s"
    goal: Goal = Goal.MINIMIZE
    needs: Needs = field(default_factory=lambda: Needs(cpus=0.01))

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def duration(self, key: str) -> float:
        """Seconds that this candidate takes."""
        return float(
            self.seconds
            * np.exp(self.sigma * np.random.default_rng(seed_for(0, key)).standard_normal())
        )

    def measure(self, candidate: Candidate) -> float:
        seconds = self.duration(candidate.architecture.key) if self.sigma else self.seconds
        time.sleep(seconds)
        return seconds


@dataclass(frozen=True)
class Restless(Sleeping):
    """Sleeps so too, but its value says nothing of the time, so that no search can learn to sleep
    less.
    """

    name: str = "restless"
    unit: str = ""

    def measure(self, candidate: Candidate) -> float:
        super().measure(candidate)
        return float(np.random.default_rng(seed_for(1, candidate.architecture.key)).random())
