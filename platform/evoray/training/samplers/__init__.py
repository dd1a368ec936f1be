"""Subnet samplers: which subnets one training step trains. One a file; this folder is their
registry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from searchspaces.base import Architecture, Choices, SearchSpace
from searchspaces.plugins.registry import Registry

REGISTRY = Registry("evoray.training.samplers", "subnet sampler")


@dataclass(frozen=True, kw_only=True)
class Horizon:
    """Length of a training, for samplers that change their ways over it.

    Attributes:
        epochs: All epochs.
        steps_per_epoch: Optimizer steps of one.
    """

    epochs: float = 100.0
    steps_per_epoch: int = 100

    def __post_init__(self) -> None:
        if not (self.epochs > 0 and self.steps_per_epoch > 0):
            raise ValueError(f"a training needs epochs and steps above 0, got {self}")

    def epoch(self, step: int) -> int:
        """Whole epochs before a step."""
        return step // self.steps_per_epoch


class SubnetSampler(Protocol):
    """A function of (seed, step, state): every rank draws the same subnets without talking."""

    def sample(self, step: int) -> Sequence[Architecture]:
        """The subnets of one step, in the order in which they are trained."""
        ...

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Takes the losses of the step, equal on every rank."""
        ...

    def state(self) -> dict[str, Any]:
        """Returns as JSON all that `restore` needs."""
        ...

    def restore(self, state: dict[str, Any]) -> None: ...


@runtime_checkable
class Scores(Protocol):
    """A sampler that remembers how good subnets were, and must be told how good they are now."""

    def refresh(
        self, step: int, losses_of: Callable[[Sequence[Architecture]], Sequence[float]]
    ) -> None:
        """Called before each step is drawn; `losses_of` runs subnets without training them, and is
        equal on every rank.
        """
        ...


@runtime_checkable
class SaysWhoLearns(Protocol):
    """A sampler of steps with a teacher of their own."""

    @property
    def last_learns(self) -> bool:
        """Tells the loop that all subnets of a step teach the last."""
        ...


@runtime_checkable
class SaysWhoShares(Protocol):
    """A sampler whose subnets may divide the images of a batch."""

    @property
    def together(self) -> bool:
        """Tells the loop that the subnets of a step go in one forward and backward."""
        ...


def names() -> list[str]:
    """The samplers that exist, sorted."""
    return REGISTRY.names()


class Explorer(SubnetSampler, Protocol):
    """A sampler whose random subnets another one may choose: `performance_aware` wraps any."""

    @property
    def num_random(self) -> int:
        """Random subnets of a step."""
        ...

    @property
    def num_levels(self) -> int:
        """Number of kinds of steps, each with subnets of its own."""
        ...

    def level(self, step: int) -> int:
        """Number of the level that a step trains, below `num_levels`."""
        ...

    def candidates(self, step: int, count: int, rng: np.random.Generator) -> Choices:
        """(count, g) canonical rows that the step may train, drawn with `rng`."""
        ...

    def arranged(self, step: int, chosen: Sequence[Architecture]) -> Sequence[Architecture]:
        """The subnets of the step when these take the random places."""
        ...


def load(
    name: str, space: SearchSpace, *, seed: int, num_random: int, horizon: Horizon | None = None
) -> SubnetSampler:
    """A fresh sampler; `horizon` is how long the training will be.

    Raises:
        ValueError: There is no such sampler.
    """
    return cast(
        SubnetSampler,
        REGISTRY.module(name).build(
            space, seed=seed, num_random=num_random, horizon=horizon or Horizon()
        ),
    )
