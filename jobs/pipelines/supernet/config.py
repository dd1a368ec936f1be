"""The configuration of a supernet search: frozen dataclasses, from which tyro makes the command
line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro

from evoray.engine.schedule import Migration
from evoray.training.config import TrainConfig
from jobs.pipelines.options import ClusterOptions, CodeOptions, DataOptions, check_least

if TYPE_CHECKING:  # named only: they import torch
    from evoray.data.parts.images import ImageSource
    from evoray.training.tasks.base import Task

_BIGGEST_POPULATION = 1_000_000


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Search of the trained supernet."""

    searcher: tuple[str, ...] = ("predictor",)
    """Search algorithm, a name that docs/searchers.md lists, such as predictor or nsga2.
    With several names the shards take turns.
    """
    options: tuple[str, ...] = ()
    """Options of the algorithm itself as NAME=VALUE, such as "bins=8"."""
    targets: tuple[str, ...] = ("accuracy", "latency")
    """Values to optimise, two or more for a front: accuracy, latency, macs, params.
    Also predicted_latency@LABEL of a latency table, and objectives of your own.
    Those are named by a file in objectives/, package.module:object or path/to/file.py:object.
    """
    constraints: tuple[str, ...] = ()
    """Bounds that networks must keep, such as "macs<=2e6" or "accuracy>=90".
    Those on costs hold before anything is measured, so they also save time.
    """
    fixed: tuple[str, ...] = ()
    """Genes with one value throughout the search, such as "resolution=32"."""
    evaluations: int = 256
    """Budget of the search: distinct networks to evaluate.
    Twice as many take twice as long and find a better front.
    """
    population: int = 8
    """Candidates that each shard proposes in a generation, 2 or more.
    Take at least as many as there are workers that measure.
    """
    shards: int = 1
    """Populations that evolve side by side, each in an actor of its own.
    Raise it for large populations or several algorithms.
    """
    migrate_every: int = 2
    """Generations between two exchanges among the shards; 0 for none."""
    num_migrants: int = 2
    """Candidates that a shard sends to each of its neighbours in an exchange."""
    topology: str = "ring"
    """Neighbours of a shard: ring (the next one), star (all by way of the first), full (all)."""
    migrants: str = "elites"
    """Candidates that are exchanged: elites (a shard's best), or random (drawn from its best)."""
    asynchronous: bool = False
    """Replaces each candidate as soon as it is measured, instead of waiting for its generation.
    Keeps workers busy where evaluation times differ; steady_state always does so.
    """
    rungs: int = 1
    """Rungs of successive halving: measurements on the way to all validation images.
    Each takes three times as many images as the one before, and drops the worse candidates.
    With 1 every candidate is measured on all images.
    """
    warm_start: Annotated[tuple[Path, ...], tyro.conf.arg(aliases=("--from",))] = ()
    """Run folders of the same space to start from: their best networks are measured first.
    The searcher predictor also learns from all that they measured.
    """
    baseline: bool = True
    """Runs random search with the same number of evaluations afterwards, for comparison.
    Switch it off to halve the time.
    """

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
    """Measurement of candidates."""

    calibration_images: int = 1024
    """Training images that recompute each network's batch-norm statistics, 2 or more.
    More give steadier accuracies and take longer.
    """
    validation_limit: int | None = None
    """Largest number of validation images for the accuracy; None for all.
    Fewer are faster and noisier.
    """
    latency_batch: int = 1
    """Images in one timed forward pass; take the number that you deploy with."""
    latency_threads: int = 1
    """CPU threads of one timed forward pass; take the number that you deploy with."""
    objectives: tuple[str, ...] = ()
    """Objectives and cost models that are recorded without being targets, named as those.
    They may be constrained.
    """
    latency_tables: tuple[Path, ...] = ()
    """Latency tables to predict latency from, one for each device, made by `evoray latency`.
    Each adds the cost "predicted_latency@LABEL", for targets and constraints.
    """

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
    """Search space: NAME or NAME:PRESET of `evoray spaces`, or one of your own.
    That is named as package.module:object or path/to/file.py:object.
    """
    data: DataOptions = field(default_factory=DataOptions)
    train: TrainConfig = field(default_factory=TrainConfig)
    search: SearchOptions = field(default_factory=SearchOptions)
    measure: MeasureOptions = field(default_factory=MeasureOptions)
    cluster: ClusterOptions = field(default_factory=ClusterOptions)
    seed: int = 0
    """Seeds all randomness: the same seed repeats the run, another one shows its spread."""

    def task_of(self, source: ImageSource) -> Task:
        """The task that this data is for, learned by the recipe.

        Raises:
            ValueError: The recipe does not fit it, or it has no classes.
        """
        from evoray.data.parts.images import with_classes  # these import torch, which no help needs
        from evoray.training import tasks

        return tasks.of(with_classes(source), self.train)
