"""The configuration of a co-search: frozen dataclasses, from which tyro makes the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from evoray.training.config import TrainConfig
from jobs.pipelines.options import ClusterOptions, CodeOptions, DataOptions, check_least


@dataclass(frozen=True, kw_only=True)
class TaskData(DataOptions):
    """Images of one of several tasks, so that the name has no short option of its own."""

    name: str = "digits"
    """Data set: digits, cifar10, cifar100, fashion_mnist, stl10 or image_folder to classify.
    Also strokes or nuclei to segment.
    """


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """One task: its data, and how its networks' supernet is trained. Tasks with equal options and
    networks share one.
    """

    data: TaskData = field(default_factory=TaskData)
    train: TrainConfig = field(default_factory=TrainConfig)
    weight: float = 1.0
    """Weight of the task in the mean accuracy of the tasks; 0 leaves it out of the mean."""
    calibration_images: int = 512
    """Training images that recompute each network's batch-norm statistics, 2 or more.
    More give steadier accuracies and take longer.
    """
    validation_limit: int | None = None
    """Largest number of validation images for the accuracy; None for all.
    Fewer are faster and noisier.
    """

    def __post_init__(self) -> None:
        if self.weight < 0:
            raise ValueError(f"a task's weight must not be negative, got {self.weight}")
        if self.validation_limit is not None and self.validation_limit < 1:
            raise ValueError(
                f"validation_limit must be at least 1, got {self.validation_limit}; leave it out "
                "for all"
            )
        if self.calibration_images < 2:
            raise ValueError(
                f"calibration_images must be at least 2, got {self.calibration_images}"
            )


@dataclass(frozen=True, kw_only=True)
class ChipOptions:
    """Limits of the chip, and the cost model that prices it."""

    latency: float | None = None
    """Largest latency in cycles, all networks mapped to the chip; None for no limit."""
    energy: float | None = None
    """Largest energy in the unit of the constants; None for no limit."""
    area: float | None = None
    """Largest area in square micrometres; None for no limit."""
    slots: Literal[1, 2] = 2
    """Largest number of sub-accelerators on the chip."""
    same_dataflow: bool = False
    """Gives all sub-accelerators of a chip one dataflow, which makes it homogeneous."""
    units: int = 4096
    """Processing elements that all sub-accelerators together may have."""
    bandwidth: int = 64
    """Words a cycle of on-chip network that all sub-accelerators together may have."""
    constants: str = "maestro2019"
    """Energies and areas: maestro2019, maestro2021, eyeriss, physical or cacti45.
    Take maestro2019 to compare with NASAIC as published, and physical for realistic chips.
    """
    noc_scope: Literal["top", "all"] = "all"
    """On-chip networks that the bandwidth limits: top (the upper one), or all, as NASAIC's tool."""

    def __post_init__(self) -> None:
        for name in ("latency", "energy", "area"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(
                    f"chip.{name} must be above 0, got {value}; leave it out for no limit"
                )
        if self.units < 1 or self.bandwidth < 1:
            raise ValueError(
                f"a chip needs units and bandwidth of at least 1, got chip.units {self.units}, "
                f"chip.bandwidth {self.bandwidth}"
            )


@dataclass(frozen=True, kw_only=True)
class JointSearchOptions:
    """Search of the networks and the chip, and the methods to compare it with."""

    searcher: str = "pymoo_algorithm"
    """Search algorithm, a name that docs/searchers.md lists, such as pymoo_algorithm or nsga2."""
    chips: Literal["exact", "genes"] = "exact"
    """Choice of chips: exact finds the best ones for every tuple of networks.
    With genes the chip is evolved like the networks.
    """
    evaluations: int = 240
    """Budget of the search: distinct designs to evaluate.
    Those that differ in the chip alone share their networks' measurements.
    """
    population: int = 16
    """Designs that a generation proposes, 2 or more."""
    fixed: tuple[str, ...] = ()
    """Genes with one value throughout the search, such as "digit.stem.width=8".
    Genes of the chip can be fixed with chips genes only.
    The methods of compare search the whole space all the same.
    """
    compare: tuple[str, ...] = ("nas then asic", "asic then nas", "reinforce", "random")
    """Other methods to run with as many networks to measure; without any the run is shortest.
    They are nas then asic, asic then nas, reinforce, random, evolution with sampled chips.
    """

    def __post_init__(self) -> None:
        check_least(self, "search", evaluations=1)
        if self.population < 2:
            raise ValueError(
                f"search.population must be at least 2, got {self.population}: evolution needs "
                "parents"
            )


@dataclass(frozen=True, kw_only=True)
class CoSearch(CodeOptions):
    """Trains a supernet for each task, then searches the networks of both tasks and the chip that
    runs them, within its specs.
    """

    common: ClassVar[tuple[str, ...]] = (
        "space",
        "first.data.name",
        "first.data.root",
        "first.train.epochs",
        "second.data.name",
        "second.data.root",
        "second.train.epochs",
        "chip.latency",
        "chip.energy",
        "chip.area",
        "chip.slots",
        "chip.same_dataflow",
        "chip.constants",
        "search.chips",
        "search.evaluations",
        "search.population",
        "search.compare",
        "accuracy",
        "cluster.address",
        "seed",
    )  # what --help shows

    space: str = "nasaic:digits"
    """Joint search space of two networks and a chip: NAME or NAME:PRESET of `evoray spaces`.
    One of your own is package.module:object or path/to/file.py:object.
    """
    first: TaskOptions = field(default_factory=TaskOptions)
    second: TaskOptions = field(default_factory=TaskOptions)
    chip: ChipOptions = field(default_factory=ChipOptions)
    search: JointSearchOptions = field(default_factory=JointSearchOptions)
    accuracy: Literal["inherited", "scratch"] = "inherited"
    """Weights that networks are measured with: inherited from a supernet, or scratch.
    The latter trains each network alone first; cluster.timeout-seconds must allow for that.
    """
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    seed: int = 0
    """Seeds all randomness: the same seed repeats the run, another one shows its spread."""
