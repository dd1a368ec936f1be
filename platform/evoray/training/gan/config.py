"""Recipes of GAN training: EAGAN's paper's and its released code's, which differ (arXiv:2111.15097,
section 5).
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class GanConfig:
    """Adam at constant rates; the batch sizes are the released code's, as the paper's labels look
    swapped.
    """

    generator_rate: float = 2e-4
    """Learning rate of the generator, constant."""
    discriminator_rate: float = 2e-4
    """Learning rate of the discriminator, constant.
    Lower it when the discriminator wins at once.
    """
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam's decay rates of the first and the second moment, each at least 0 and below 1."""
    generator_batch: int = 80
    """Images in one step of the generator."""
    discriminator_batch: int = 40
    """Real images in one step of the discriminator, and as many generated ones."""
    critic_steps: int = 1
    """Steps of the discriminator for one of the generator.
    More make a step longer and the generator's gradient better.
    """
    clip_norm: float = 0.0
    """Largest norm of a network's gradient; 0 for no clipping.
    Lower it when losses jump.
    """
    average_decay: float = 0.0
    """Decay of the moving average of the generator's weights; 0 for none.
    Long trainings score better with 0.999.
    """

    def __post_init__(self) -> None:
        for name in (
            "generator_rate",
            "discriminator_rate",
            "generator_batch",
            "discriminator_batch",
            "critic_steps",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"gan.{name} must be above 0, got {getattr(self, name)}")
        if (
            self.clip_norm < 0
            or not 0 <= self.average_decay < 1
            or not all(0 <= beta < 1 for beta in self.betas)
        ):
            raise ValueError(
                "gan.clip_norm must not be negative, gan.average_decay and gan.betas must be at "
                "least 0 and below 1, "
                f"got {self.clip_norm}, {self.average_decay}, {self.betas}"
            )


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """Length and recipe of a stage's training."""

    gan: GanConfig = field(default_factory=GanConfig)
    warmup_epochs: float = 50.0
    """Passes over the images with random genotypes, before the first round."""
    rounds: int = 18
    """Rounds of training, measuring and selecting, 1 or more."""
    epochs: float = 10.0
    """Passes over the images in one round."""
    log_every_steps: int = 100
    """Steps between two lines of metrics.jsonl; fewer make finer curves and a larger file."""
    checkpoint_every_seconds: float = 120.0
    """Seconds between two checkpoints: at most so much work is lost in a crash.
    The end of a round always writes one.
    """
    keep_checkpoints: int = 2
    """Newest checkpoints to keep on disk, 1 or more."""

    def __post_init__(self) -> None:
        for name, least in (("rounds", 1), ("log_every_steps", 1), ("keep_checkpoints", 1)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"train.{name} must be at least {least}, got {getattr(self, name)}"
                )
        if (
            not self.epochs > 0
            or not self.warmup_epochs >= 0
            or not self.checkpoint_every_seconds >= 0
        ):
            raise ValueError(
                "train.epochs must be above 0, train.warmup_epochs and "
                "train.checkpoint_every_seconds not negative, "
                f"got {self.epochs}, {self.warmup_epochs} and {self.checkpoint_every_seconds}"
            )


def stage_one() -> GanConfig:
    """Many generators against one discriminator."""
    return GanConfig()


def stage_one_released() -> GanConfig:
    """The same with the released code's slower discriminator."""
    return GanConfig(discriminator_rate=4e-5)


def stage_two() -> GanConfig:
    """Every discriminator against a generator of its own."""
    return GanConfig(critic_steps=5)


def final_cifar10() -> GanConfig:
    """A found pair alone."""
    return GanConfig(critic_steps=5, average_decay=0.999)


def final_stl10() -> GanConfig:
    """A found pair alone; batch sizes as the released code."""
    return GanConfig(
        generator_rate=3e-4,
        generator_batch=256,
        discriminator_batch=128,
        critic_steps=5,
        clip_norm=50.0,
        average_decay=0.999,
    )
