"""The rounds of a stage of EAGAN: what each trains, and which step belongs to which."""

from __future__ import annotations

from dataclasses import dataclass

from evoray.training.gan.config import StageConfig
from evoray.training.gan.images import RealImages
from evoray.training.metrics_log import Length
from searchspaces.base import Architecture


@dataclass(frozen=True)
class Round:
    """Population that one round trains, and the generators that its members start from.

    Attributes:
        members: The population.
        origins: Stage 2: the pair of the round before whose generator each member goes on with; ()
            for the warmed-up one.
        resets: True if all of them are deep copies of one generator, Adam's moments anew (weight
            resetting).
    """

    members: tuple[Architecture, ...]
    origins: tuple[int, ...] = ()
    resets: bool = True


@dataclass(frozen=True)
class Calendar:
    """Calendar of a stage: says which step is in which round.

    Attributes:
        warmup: Steps before the first round.
        steps: Steps of one round.
        per_epoch: Steps of one pass over the images.
        rounds: Number of rounds.
        batch_size: Real images of a step.
    """

    warmup: int
    steps: int
    per_epoch: int
    rounds: int
    batch_size: int

    @staticmethod
    def of(config: StageConfig, images: RealImages) -> Calendar:
        """A step is one group: `critic_steps` batches of real images."""
        per_epoch = max(1, images.per_epoch // config.gan.critic_steps)
        return Calendar(
            round(config.warmup_epochs * per_epoch),
            max(1, round(config.epochs * per_epoch)),
            per_epoch,
            config.rounds,
            config.gan.discriminator_batch * config.gan.critic_steps,
        )

    def start(self, number: int) -> int:
        return self.warmup + number * self.steps

    def round_of(self, step: int) -> int:
        """-1 in the warm-up."""
        return -1 if step < self.warmup else (step - self.warmup) // self.steps

    @property
    def total(self) -> int:
        return self.start(self.rounds)

    @property
    def length(self) -> Length:
        """Length of the whole stage."""
        return Length(steps=self.total, steps_per_epoch=self.per_epoch, batch_size=self.batch_size)


@dataclass(frozen=True)
class RoundPart:
    """A part of a stage-2 round: the pairs whose index is `index` modulo `of`."""

    index: int
    of: int
