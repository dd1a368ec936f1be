"""Phases that pipelines share: a supernet is trained on Ray, a population evolves on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from evoray.distributed.cluster.address import joined
from evoray.distributed.evaluation.pool import PoolOptions
from evoray.distributed.shards import RayShards
from evoray.distributed.training import train_on_ray
from evoray.engine.generational import Search
from evoray.engine.schedule import Progress, Schedule
from evoray.engine.steady_state import SteadySearch
from evoray.evaluation.evaluator import Evaluator
from evoray.problem.problem import Problem
from evoray.records.ledger import FolderLedger
from evoray.records.records import Records
from evoray.records.run_files import read_metrics
from evoray.searchers.base import Searcher
from evoray.training.config import TrainConfig
from evoray.training.loop import total_steps
from evoray.training.recipe.teachers import Teacher
from evoray.training.tasks.base import Task
from jobs.pipelines.base import Run
from jobs.pipelines.options import ClusterOptions, RayOptions
from jobs.terminal.progress import phase, tailing, timed
from searchspaces.base import SearchSpace


class _Trained(Protocol):
    @property
    def cluster(self) -> ClusterOptions: ...

    @property
    def seed(self) -> int: ...


def train_supernet(
    run: Run[_Trained, Any],
    space: SearchSpace,
    task: Task,
    recipe: TrainConfig,
    *,
    teachers: Sequence[Teacher] = (),
    place: Path,
    name: str = "train",
) -> None:
    """Trains a supernet with Ray Train, or goes on with that.

    Args:
        run: Run with the seed and the cluster.
        space: Space of its subnets.
        task: Task that it learns.
        recipe: Recipe of its training.
        teachers: Networks from outside.
        place: Folder of its checkpoints and metrics.
        name: Name of the phase.

    Raises:
        RuntimeError: The training failed again and again.
    """
    options = run.config.cluster
    with (
        timed(run.folder, name),
        phase(run.console, name, total_steps(task, recipe)) as bar,
        tailing(lambda: read_metrics(place), bar),
    ):
        train_on_ray(
            space,
            task,
            recipe,
            seed=run.config.seed,
            folder=place,
            num_workers=options.workers,
            use_gpu=run.use_gpu,
            max_failures=options.max_failures,
            teachers=teachers,
        )


def pool_of(
    options: RayOptions, *, workers: int = 1, workers_of: Mapping[str, int] | None = None
) -> PoolOptions:
    """Options of the actors that measure objectives on the cluster: `workers` for each, but for
    those that `workers_of` names.
    """
    return PoolOptions(
        workers=workers,
        workers_of=workers_of or {},
        timeout_seconds=options.timeout_seconds,
        max_attempts=options.max_attempts,
        is_fixed=not joined(options.address),
    )


def evolve(
    run: Run[Any, Any],
    problem: Problem,
    searchers: Sequence[Searcher],
    evaluator: Evaluator,
    ledger: FolderLedger,
    schedule: Schedule,
    *,
    snapshots: Path,
    reuse: Records | None = None,
    is_steady: bool = False,
    name: str = "search",
    watch: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Searches with one population shard a searcher, or goes on with that.

    Args:
        run: Run that shows progress.
        problem: Problem that is searched.
        searchers: One a shard.
        evaluator: Measures candidates.
        ledger: Ledger that gets the records.
        schedule: Length of the search, and exchange among the shards.
        snapshots: Folder of the shards' states.
        reuse: Records whose measurements are not repeated.
        is_steady: True for a search without generations.
        name: Name of the phase.
        watch: Called at every barrier.

    Raises:
        RuntimeError: The search cannot go on; what is done stays.
    """
    shards = RayShards(problem, searchers)
    kind = SteadySearch if is_steady else Search
    try:
        with (
            timed(run.folder, name),
            phase(run.console, name, schedule.evaluations) as bar,
        ):

            def show(progress: Progress) -> None:
                watch(progress)
                bar.update(progress.evaluations, _note(progress))

            kind(
                problem,
                shards,
                evaluator,
                ledger,
                schedule,
                snapshots=snapshots,
                reuse=reuse,
                on_progress=show,
            ).run()
    finally:
        shards.close()


def _note(progress: Progress) -> str:
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"generation {progress.generation}, front of {progress.front_size}{failed}"
