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
    """Channels of the networks' cells; None for the space's own.
    Halve them to train on a CPU or a small GPU.
    """
    population: int = 32
    """Candidates in a round, 2 or more."""
    crossover_probability: float = 0.3
    """Probability that a child takes one gene from another parent.
    The sum with mutation_probability must be above 0 and at most 1.
    """
    mutation_probability: float = 0.5
    """Probability that a child changes one gene at random.
    What is left to 1, after crossover_probability, are children drawn afresh.
    """
    selector: Literal["nsga2", "cars"] = "nsga2"
    """Selection of a round's survivors: nsga2, or cars, the released code's.
    The latter is there for comparison.
    """
    pick: str = "best:fid"
    """Candidate that the run goes on with after the stage: a key, knee, or best:NAME.
    The last is the front's best under a score or cost, such as best:fid.
    """

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
    """Search space of generators: NAME or NAME:PRESET, as `evoray spaces` lists them."""
    opponent: Literal["autogan", "plain"] | Path = "autogan"
    """Fixed discriminator to train against: autogan, plain, or the folder of an earlier run.
    The first is AdversarialNAS's, the second the released code's GD2, for 32 pixels and more.
    The discriminator that an earlier run found makes the paper's variant GD3.
    """
    train: StageConfig = field(default_factory=lambda: StageConfig(gan=recipes.stage_one()))


@dataclass(frozen=True, kw_only=True)
class DiscriminatorOptions(_StageOptions):
    """Stage 2: discriminators, each against a private copy of the picked generator; channels also
    of the fixed one of stage 1.
    """

    _group = "discriminators"

    space: str = "eagan:discriminator"
    """Search space of discriminators: NAME or NAME:PRESET, as `evoray spaces` lists them."""
    train: StageConfig = field(default_factory=lambda: StageConfig(gan=recipes.stage_two()))
    weight_resetting: bool = True
    """Starts every round with copies of the best generator, as the paper does.
    Otherwise each pair goes on with its own generator or its parent's.
    """
    pairing: Literal["serial", "averaged"] = "serial"
    """Training of the pairs: serial, as in the paper, in turn on the same discriminator weights.
    With averaged, workers train pairs side by side on copies that are averaged: faster.
    """
    pair_workers: int = 2
    """Workers that train pairs side by side, where pairing is averaged."""
    average_every_steps: int = 0
    """Groups of steps between two averagings, where pairing is averaged.
    With 0 they are averaged at the end of each round only.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, self._group, pair_workers=1, average_every_steps=0)


@dataclass(frozen=True, kw_only=True)
class FinalOptions:
    """Final training of the found pair, alone and from fresh weights."""

    epochs: float = 0.0
    """Passes over the images; 0 for no final training.
    A published result takes hundreds.
    """
    gan: GanConfig = field(default_factory=recipes.final_cifar10)
    num_images: int = 50_000
    """Generated images for the final scores, 2 or more; published scores take 50,000."""
    checkpoint_every_seconds: float = 300.0
    """Seconds between two checkpoints: at most so much work is lost in a crash."""
    log_every_steps: int = 100
    """Steps between two lines of metrics.jsonl; fewer make finer curves and a larger file."""

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.num_images < 2 or self.log_every_steps < 1:
            raise ValueError(
                "final.epochs must not be negative, final.num-images at least 2 and "
                "final.log-every-steps at least 1, "
                f"got {self.epochs}, {self.num_images} and {self.log_every_steps}"
            )


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Scoring of generators."""

    inception: Annotated[Path | None, tyro.conf.arg(aliases=("--inception",))] = None
    """File of the published Inception weights, pt_inception-2015-12-05-6726825d.pth.
    Needed for scores that compare with publications.
    None: a classifier is trained on the data instead, and the scores bear its name.
    """
    classifier_epochs: int = 30
    """Passes over the images when that classifier is trained, 1 or more."""
    num_images: int = 5000
    """Generated images for one score during the search, 20 or more.
    Fewer are faster; FID then is noisier and biased upwards.
    """
    calibration_images: int = 1024
    """Latent vectors that recompute each generator's batch-norm statistics, 2 or more."""
    allow_few: bool = False
    """Only warns where there are fewer images than features, for which FID is badly biased.
    Without it such a run is refused.
    """

    def __post_init__(self) -> None:
        check_least(self, "measure", classifier_epochs=1, num_images=20, calibration_images=2)


@dataclass(frozen=True, kw_only=True)
class GanCluster(RayOptions):
    """Ray cluster to run on, and the actors and GPUs to use there."""

    train_workers: int = 1
    """Training workers of stage 1, which share each step's images.
    With 2 or more they are Ray Train's: take one for each GPU.
    """
    train_gpus: bool | None = None
    """Gives training and scoring a GPU each.
    None: where the cluster has one.
    """
    score_workers: int = 1
    """Actors that divide the images of each score among them."""
    timeout_seconds: float = 600.0
    """Longest time of one measurement in seconds; then its actor is stopped.
    Raise it when candidates fail only because scoring is slow.
    """

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
    """Seeds all randomness: the same seed repeats the run, another one shows its spread."""
