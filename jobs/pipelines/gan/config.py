"""The configuration of a GAN search: frozen dataclasses, from which tyro makes the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from evoray.training.gan import config as recipes
from evoray.training.gan.config import GanConfig, StageConfig
from jobs.pipelines.options import DataOptions, RayOptions, check_least


@dataclass(frozen=True, kw_only=True)
class _StageOptions:
    """Options that both stages have; they check themselves as `_group`."""

    _group: ClassVar[str]

    channels: int | None = None
    """Channels of the networks' cells; none for the space's own."""
    population: int = 32
    """Candidates in a round."""
    crossover_probability: float = 0.3
    """That a child takes a gene of another parent."""
    mutation_probability: float = 0.5
    """That one gene changes; what is left is drawn afresh."""
    selector: Literal["nsga2", "cars"] = "nsga2"
    """nsga2, or cars, the released code's, for comparison only."""
    pick: str = "best:fid"
    """The one that the run goes on with: a key, knee, or best:NAME on the front."""

    def __post_init__(self) -> None:
        name, crossover, mutation = (
            self._group,
            self.crossover_probability,
            self.mutation_probability,
        )
        if self.channels is not None and self.channels < 1:
            raise ValueError(
                f"{name}.channels must be at least 1, got {self.channels}; leave it out for the "
                "space's own"
            )
        if self.population < 2:
            raise ValueError(
                f"{name}.population must be at least 2, got {self.population}: evolution needs "
                "parents"
            )
        if min(crossover, mutation) < 0 or not 0 < crossover + mutation <= 1:
            raise ValueError(
                f"{name}.crossover-probability and {name}.mutation-probability must not be "
                "negative and add up to more than 0 and at most 1, "
                f"got {crossover} and {mutation}"
            )


@dataclass(frozen=True, kw_only=True)
class GeneratorOptions(_StageOptions):
    """Stage 1: generators, many against one fixed discriminator."""

    _group = "generators"

    space: str = "eagan:generator"
    """A space of generators."""
    opponent: Literal["autogan", "plain"] | Path = "autogan"
    """The fixed discriminator: autogan (AdversarialNAS's), plain (the released code's, variant GD2;
    32 pixels and more), or the folder of an earlier run, whose discriminator it becomes (variant
    GD3)."""
    train: StageConfig = field(default_factory=lambda: StageConfig(gan=recipes.stage_one()))


@dataclass(frozen=True, kw_only=True)
class DiscriminatorOptions(_StageOptions):
    """Stage 2: discriminators, each against a private copy of the picked generator; channels also
    of the fixed one of stage 1.
    """

    _group = "discriminators"

    space: str = "eagan:discriminator"
    """A space of discriminators."""
    train: StageConfig = field(default_factory=lambda: StageConfig(gan=recipes.stage_two()))
    weight_resetting: bool = True
    """Whether every round starts with copies of the best generator; else each goes on with its own
    or its parent's.
    """
    pairing: Literal["serial", "averaged"] = "serial"
    """serial as the paper: pairs train in turn on the same discriminator weights. averaged: workers
    train their pairs beside each other on weights of their own, averaged then."""
    pair_workers: int = 2
    """Workers of averaged pairs."""
    average_every_steps: int = 0
    """Groups of steps between two averagings; 0 for the end of each round."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, self._group, pair_workers=1, average_every_steps=0)


@dataclass(frozen=True, kw_only=True)
class FinalOptions:
    """The found pair, trained alone from fresh weights."""

    epochs: float = 0.0
    """Passes over the images; 0 for no final training."""
    gan: GanConfig = field(default_factory=recipes.final_cifar10)
    num_images: int = 50_000
    """Generated for the final scores."""
    checkpoint_every_seconds: float = 300.0
    """Seconds between two checkpoints."""
    log_every_steps: int = 100
    """Steps between two lines of metrics.jsonl."""

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.num_images < 2 or self.log_every_steps < 1:
            raise ValueError(
                "final.epochs must not be negative, final.num-images at least 2 and "
                "final.log-every-steps at least 1, "
                f"got {self.epochs}, {self.num_images} and {self.log_every_steps}"
            )


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """How generators are scored."""

    inception: Annotated[Path | None, tyro.conf.arg(aliases=("--inception",))] = None
    """File of the published Inception weights (pt_inception-2015-12-05-6726825d.pth); without it a
    classifier is trained on the data, and the scores bear its name."""
    classifier_epochs: int = 30
    """Passes over the images of that classifier's training."""
    num_images: int = 5000
    """Generated for one score during the search."""
    calibration_images: int = 1024
    """Latent vectors from which each generator's batch-norm statistics are recomputed."""
    allow_few: bool = False
    """Whether fewer images than features are warned of instead of refused."""

    def __post_init__(self) -> None:
        check_least(self, "measure", classifier_epochs=1, num_images=20, calibration_images=2)


@dataclass(frozen=True, kw_only=True)
class GanCluster(RayOptions):
    """What is run where."""

    train_workers: int = 1
    """Workers of stage 1; from two on they are Ray Train's and share each step's images."""
    train_gpus: bool | None = None
    """Whether training and scoring take a GPU; none for: if the cluster has one."""
    score_workers: int = 1
    """Actors of each score."""
    timeout_seconds: float = 600.0
    """A measurement that takes longer is stopped with its actor."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, "cluster", score_workers=1)


@dataclass(frozen=True, kw_only=True)
class GanSearch:
    """Finds a generator, then a discriminator that trains it well."""

    common: ClassVar[tuple[str, ...]] = (
        "data.name",
        "data.root",
        "data.image_size",
        "data.limit",
        "generators.space",
        "generators.channels",
        "generators.population",
        "generators.opponent",
        "generators.train.rounds",
        "discriminators.space",
        "discriminators.channels",
        "discriminators.population",
        "discriminators.pairing",
        "discriminators.train.rounds",
        "final.epochs",
        "measure.inception",
        "measure.num_images",
        "cluster.address",
        "cluster.train_workers",
        "seed",
    )  # what --help shows

    data: DataOptions = field(default_factory=DataOptions)
    generators: GeneratorOptions = field(default_factory=GeneratorOptions)
    discriminators: DiscriminatorOptions = field(default_factory=DiscriminatorOptions)
    final: FinalOptions = field(default_factory=FinalOptions)
    measure: ScoreOptions = field(default_factory=ScoreOptions)
    cluster: GanCluster = field(default_factory=GanCluster)
    seed: int = 0
    """Of all randomness."""
