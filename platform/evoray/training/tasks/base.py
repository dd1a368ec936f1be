"""The contract of a task: the loop, its checkpoints and its restarts know what is learned by this
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, Self, runtime_checkable

import torch
from torch import nn

from evoray.seeds import seed_for

Outputs = Any  # whatever the networks of a space return; their task alone looks into it
SoftLabels = Any  # likewise what a task makes of a teacher's outputs
Forward = Callable[..., Outputs]  # a batch's inputs, and the space's own keywords


class Batch(Protocol):
    """The examples of one step on one rank; the loop moves it and hands it back, no more."""

    @property
    def inputs(self) -> Any:
        """Inputs of the networks."""
        ...

    def to(self, device: torch.device) -> Self: ...


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Position of a training, on one rank: all that a batch and its augmentation may depend on.

    Attributes:
        seed: Seed of the training.
        step: Number of the step, counted from 0.
        steps: Steps of the whole training.
        steps_per_epoch: Steps of one pass over the examples.
        batch_size: Examples of a step, over all ranks.
        rank: Rank of this process.
        world_size: Number of ranks.
        restarts: Restarts after losses that were not finite; each goes on with other draws.
    """

    seed: int
    step: int
    steps: int
    steps_per_epoch: int
    batch_size: int
    rank: int = 0
    world_size: int = 1
    restarts: int = 0

    def seed_of(self, word: str) -> int:
        """A seed that no other step, rank or restart has for this word."""
        return seed_for(self.seed, word, self.step, self.rank, self.restarts)

    @property
    def progress(self) -> float:
        """Share of the training that is done: 0 in the first step, below 1 in the last."""
        return self.step / self.steps


class Examples(Protocol):
    """A task's training examples, opened in the process that trains."""

    def batch(self, moment: Moment) -> Batch:
        """Examples of this rank, in memory, a function of the moment; `EpochOrder` draws them."""
        ...

    def augment(self, batch: Batch, moment: Moment) -> Batch:
        """The batch, now on the training's device, changed at random; its labels move along.

        All draws come from `moment.seed_of(...)`.
        """
        ...


class Task(Protocol):
    """Kind of learning: batches, losses, validation. Small and picklable; a worker opens it."""

    @property
    def name(self) -> str: ...

    @property
    def validated_by(self) -> str:
        """The objective that its networks are measured by, a name in `objectives`."""
        ...

    @property
    def timed_by(self) -> str:
        """The objective that times its networks, a name in `objectives`."""
        ...

    @property
    def num_examples(self) -> int:
        """Training examples; reads the data."""
        ...

    def open(self, network: nn.Module, teachers: Sequence[nn.Module]) -> Examples:
        """The examples for a network; those of `teachers`, networks from outside on its device,
        carry their labels.

        Raises:
            ValueError: The network, or a teacher, does not fit the task.
        """
        ...

    def losses(self, outputs: Outputs, batch: Batch) -> Mapping[str, torch.Tensor]:
        """The parts of the loss by name, each a scalar; the same names on every rank, for parts
        travel in one message.
        """
        ...

    def loss_weights(self, moment: Moment) -> Mapping[str, float]:
        """Factors of the parts in this step's sum, the same on every rank; 1 for those not
        named.
        """
        ...

    def plain_loss(self, outputs: Outputs, batch: Batch) -> torch.Tensor:
        """One scalar by which networks compare at any step: without smoothing and weights."""
        ...


@runtime_checkable
class Distillable(Protocol):
    """A task in which one network's outputs can teach another."""

    def soft_labels(self, outputs: Sequence[Outputs]) -> SoftLabels:
        """The mean of what these networks say of one batch; they are cut off from gradients."""
        ...

    def soft_losses(
        self, outputs: Outputs, batch: Batch, labels: SoftLabels
    ) -> Mapping[str, torch.Tensor]:
        """Losses as `losses` returns them, for a network that learns from soft labels instead of
        hard ones.
        """
        ...


@runtime_checkable
class HasTrainingHeads(Protocol):
    """A task whose networks may have heads that are for training alone."""

    def training_heads(self, network: nn.Module) -> AbstractContextManager[Forward]:
        """Adds them where they are missing and takes those away again; gives what runs the network
        with them.

        Raises:
            ValueError: The network has no such heads.
        """
        ...


class EpochOrder:
    """The examples in an order of each epoch's own, a function of the seed; a last incomplete batch
    is left out.
    """

    def __init__(self, num_examples: int) -> None:
        self._num_examples = num_examples
        self._of: tuple[int, int, int] | None = None
        self._order = torch.zeros(0, dtype=torch.int64)

    def chosen(self, moment: Moment) -> torch.Tensor:
        """(b,) indices of the examples that the step trains on this rank."""
        epoch, position = divmod(moment.step, moment.steps_per_epoch)
        now = (moment.seed, epoch, moment.restarts)
        if self._of != now:
            generator = torch.Generator().manual_seed(
                seed_for(moment.seed, "order", epoch, moment.restarts)
            )
            self._of, self._order = now, torch.randperm(self._num_examples, generator=generator)
        start = position * moment.batch_size
        return self._order[start : start + moment.batch_size][moment.rank :: moment.world_size]


def weighted_sum(parts: Mapping[str, torch.Tensor], weights: Mapping[str, float]) -> torch.Tensor:
    """The sum of a loss's parts, of which there is one at least; those without a weight count
    once.
    """
    first, *others = (
        weights[name] * part if name in weights else part for name, part in parts.items()
    )
    return sum(others, start=first)
