"""The configuration of a supernet search: frozen dataclasses, from which tyro makes the command
line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from evoray.engine.schedule import Migration
from evoray.training.config import TrainConfig
from jobs.pipelines.options import ClusterOptions, CodeOptions, DataOptions, check_least

_BIGGEST_POPULATION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """How the trained supernet is searched."""

    searcher: tuple[str, ...] = ("predictor",)
    """Algorithms of evoray.searchers; with several the shards take turns."""
    options: tuple[str, ...] = ()
    """The algorithm's own options, such as "bins=8"."""
    targets: tuple[str, ...] = ("accuracy", "latency")
    """What is optimised: measured objectives (accuracy, latency), costs (macs, params,
    predicted_latency@LABEL), and your own: a file's name in objectives/, package.module:object, or
    path/to/file.py:object."""
    constraints: tuple[str, ...] = ()
    """Bounds such as "macs<=2e6"; those on costs hold before anything is measured."""
    fixed: tuple[str, ...] = ()
    """Genes that do not vary, such as "resolution=32"."""
    evaluations: int = 256
    """Distinct networks to evaluate."""
    population: int = 8
    """Candidates that each shard proposes a generation."""
    shards: int = 1
    """Parts of the population, each an actor."""
    migrate_every: int = 2
    """Generations between exchanges among the shards; 0 for never."""
    num_migrants: int = 2
    """Candidates that a shard sends to each of its neighbours."""
    topology: str = "ring"
    """Which shards are neighbours: ring, star or full."""
    migrants: str = "elites"
    """What a shard sends: elites, or random ones of its best."""
    asynchronous: bool = False
    """Whether a finished candidate is replaced at once instead of at the end of its generation; the
    searcher steady_state always is.
    """
    rungs: int = 1
    """Successive halving: measurements on the way to all validation images, each on three times as
    many as the one before.
    """
    warm_start: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("--from",))] = ()
    """Runs of the same space: their best networks are measured first, the predictor learns from all
    of theirs.
    """
    baseline: bool = True
    """Whether random search with the same number of evaluations follows, for comparison."""

    def __post_init__(self) -> None:
        check_least(self, "search", evaluations=1, shards=1, migrate_every=0, num_migrants=0)
        if self.population < 2:
            raise ValueError(
                f"search.population must be at least 2, got {self.population}: evolution needs "
                "parents"
            )
        if self.population > _BIGGEST_POPULATION:
            raise ValueError(
                f"search.population must be at most {_BIGGEST_POPULATION:,}, got {self.population}"
            )
        if self.shards > self.evaluations:
            raise ValueError(
                f"search.shards must be at most search.evaluations, {self.evaluations}, or a shard "
                f"has nothing to do; got {self.shards}"
            )
        if self.rungs < 1:
            raise ValueError(f"search.rungs must be at least 1, got {self.rungs}")
        if not self.searcher:
            raise ValueError("search.searcher needs at least one algorithm, got none")
        if self.rungs > 1 and self.is_steady:
            raise ValueError(
                "search.rungs above 1 compares the candidates of a generation, and an asynchronous "
                "search has none: "
                "leave search.rungs at 1, or choose another searcher"
            )
        _ = self.own_options
        Migration(
            every=self.migrate_every,
            num_migrants=self.num_migrants,
            topology=self.topology,
            select=self.migrants,
        )

    @property
    def own_options(self) -> dict[str, Any]:
        """`options` by name.

        Raises:
            ValueError: One of them is no NAME=VALUE.
        """
        pairs = [(text, *text.partition("=")[::2]) for text in self.options]
        for text, name, value in pairs:
            if not (name and value):
                raise ValueError(f'search.options takes NAME=VALUE, such as "bins=8", got {text!r}')
        return {name: _value(value) for _, name, value in pairs}

    @property
    def is_steady(self) -> bool:
        """Returns True if the search has no generations."""
        return self.asynchronous or set(self.searcher) == {"steady_state"}


def _value(text: str) -> Any:  # Any: an algorithm's option may be of any plain type
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """How candidates are measured."""

    calibration_images: int = 1024
    """Training images from which each network's batch-norm statistics are recomputed."""
    validation_limit: int | None = None
    """At most so many validation images for the accuracy; none for all."""
    latency_batch: int = 1
    """Images in one timed forward pass."""
    latency_threads: int = 1
    """Threads of one timed forward pass."""
    objectives: tuple[str, ...] = ()
    """Objectives and cost models of your own that are recorded and may be constrained without being
    targets, named as there.
    """
    latency_tables: tuple[Path, ...] = ()
    """Tables of `evoray latency`, one a device: each adds the cost "predicted_latency@LABEL"."""

    def __post_init__(self) -> None:
        check_least(self, "measure", calibration_images=2, latency_batch=1, latency_threads=1)
        if self.validation_limit is not None and self.validation_limit < 1:
            raise ValueError(
                f"measure.validation_limit must be at least 1, got {self.validation_limit}; leave "
                "it out for all"
            )


@dataclass(frozen=True, kw_only=True)
class SupernetSearch(CodeOptions):
    """Trains a supernet on a data set and searches it."""

    common: ClassVar[tuple[str, ...]] = (
        "space",
        "data.name",
        "data.root",
        "data.image_size",
        "data.limit",
        "train.epochs",
        "train.batch_size",
        "train.learning_rate",
        "train.sampler",
        "search.searcher",
        "search.targets",
        "search.constraints",
        "search.evaluations",
        "search.population",
        "search.shards",
        "search.warm_start",
        "cluster.address",
        "cluster.train_workers",
        "cluster.accuracy_workers",
        "seed",
    )  # what --help shows

    space: str = "bignas:digits"
    """A search space: NAME, NAME:PRESET, package.module:object or path/to/file.py:object."""
    data: DataOptions = field(default_factory=DataOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    search: SearchOptions = field(default_factory=SearchOptions)
    measure: MeasureOptions = field(default_factory=MeasureOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    seed: int = 0
    """Of all randomness."""
