"""The configuration of a co-search: frozen dataclasses, from which tyro makes the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from evoray.training.config import TrainConfig
from jobs.pipelines.options import ClusterOptions, CodeOptions, DataOptions, check_least


@dataclass(frozen=True, kw_only=True)
class TaskData(DataOptions):
    """Which pictures of one task of several, so that the name has no short option of its own."""

    name: str = "digits"
    """A data source: digits, cifar10, cifar100, fashion_mnist, stl10, image_folder; strokes and
    nuclei to segment.
    """


@dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """One task: its data, and how its networks' supernet is trained. Tasks with equal options and
    networks share one.
    """

    data: TaskData = field(default_factory=TaskData)
    train: TrainConfig = field(default_factory=TrainConfig)
    weight: float = 1.0
    """Share of the task in the weighted accuracy."""
    calibration_images: int = 512
    """Training images from which each network's batch-norm statistics are recomputed."""
    validation_limit: int | None = None
    """At most so many validation images; none for all."""

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
    """What the chip may be, may cost, and whose cost model says so."""

    latency: float | None = None
    """At most so many cycles; none for no limit."""
    energy: float | None = None
    """At most so much, in the energy unit of the constants."""
    area: float | None = None
    """At most so many um2."""
    slots: Literal[1, 2] = 2
    """Sub-accelerators at most."""
    same_dataflow: bool = False
    """Whether all of them have one dataflow."""
    units: int = 4096
    """Processing elements of all together."""
    bandwidth: int = 64
    """Words a cycle of all together."""
    constants: str = "maestro2019"
    """Energies and areas: maestro2019 (as NASAIC was published with) or physical."""
    noc_scope: Literal["top", "all"] = "all"
    """Which networks the bandwidth limits."""

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
    """How networks and chip are searched, and what that is compared with."""

    searcher: str = "pymoo_algorithm"
    """An algorithm of evoray.searchers."""
    chips: Literal["exact", "genes"] = "exact"
    """Every network tuple gets its best chips by the exact inner search, or chips are genes like
    any other.
    """
    evaluations: int = 240
    """Distinct designs to evaluate; those that differ in the chip alone share their networks'
    measurements.
    """
    population: int = 16
    """Designs that a generation proposes."""
    fixed: tuple[str, ...] = ()
    """Genes that do not vary, such as "digit.stem.width=8"; of the chip's only with chips "genes".
    The methods of `compare` search the whole space all the same."""
    compare: tuple[str, ...] = ("nas then asic", "asic then nas", "reinforce", "random")
    """Other methods that get as many network tuples to measure."""

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
    """A joint search space of two networks and a chip: NAME, NAME:PRESET, package.module:object or
    path/to/file.py:object.
    """
    first: TaskOptions = field(default_factory=TaskOptions)
    second: TaskOptions = field(default_factory=TaskOptions)
    chip: ChipOptions = field(default_factory=ChipOptions)
    search: JointSearchOptions = field(default_factory=JointSearchOptions)
    accuracy: Literal["inherited", "scratch"] = "inherited"
    """Networks are measured with a supernet's weights, or each is trained alone first;
    cluster.timeout-seconds must allow for that.
    """
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    seed: int = 0
    """Of all randomness."""
