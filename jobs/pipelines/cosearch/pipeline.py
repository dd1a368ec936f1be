"""The phases of a co-search: supernets, search, comparison with other methods, report. Each goes on
where it was left.

A run folder holds beside the usual: supernet/TASK/ for each task's supernet,
comparison/METHOD/ledger and comparison/METHOD/outcome.json for each method, and chip.json, the
design that is handed over.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from pydantic import TypeAdapter
from rich.table import Table

import searchspaces
from evoray import searchers
from evoray.distributed.address import joined
from evoray.distributed.cluster import cluster
from evoray.distributed.evaluator import RayEvaluator
from evoray.distributed.metrics import SearchMetrics
from evoray.distributed.pool import PoolOptions
from evoray.distributed.shards import RayShards
from evoray.distributed.training import train_on_ray
from evoray.engine.generational import Search
from evoray.engine.schedule import Progress, Schedule
from evoray.evaluation.evaluator import Evaluator
from evoray.evaluation.shared import SharedEvaluator, direct
from evoray.evaluation.worker import Weights
from evoray.problem.problem import Problem
from evoray.records import environment
from evoray.records.ledger import FolderLedger, Ledger
from evoray.records.records import Records, schema, to_table
from evoray.records.run_files import read_metrics
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.weights_digest import keep_only
from evoray.report.page import write_report
from evoray.report.reading import read_run
from evoray.report.tables import front_table
from evoray.results import picking
from evoray.searchers.base import Searcher
from evoray.training.loop import total_steps
from jobs.pipelines.cosearch import methods
from jobs.pipelines.cosearch.build import SearchSetup, Task, build_setup
from jobs.pipelines.cosearch.config import CoSearch
from jobs.pipelines.cosearch.design import described
from jobs.pipelines.cosearch.rank_correlation import probing
from jobs.pipelines.cosearch.results import digest_of, exported_networks, weights_of
from jobs.pipelines.cosearch.study import ACCURACY, COSTS, Study
from jobs.pipelines.supernet.teachers import trusting
from jobs.terminal.console import Terminal
from jobs.terminal.limits import check_values
from jobs.terminal.progress import phase, tailing, timed
from searchspaces.own import admitted, recorded, replaced

__all__ = [
    "CONFIG",
    "build_setup",
    "carry_out",
    "config_of",
    "exported_networks",
    "job_of",
    "probing",
]

CONFIG = CoSearch
_CONFIG: TypeAdapter[CoSearch] = TypeAdapter(CoSearch)
CO_SEARCH = "evolution"


def job_of(name: str, preset: str, config: CoSearch, setup: SearchSetup) -> dict[str, Any]:
    """What job.json holds."""
    return {
        "job": name,
        "preset": preset,
        "seed": config.seed,
        **environment.describe(setup.study.problem(setup.space)),
        "own": recorded(searchspaces.own_paths([config.space])),
        "config": _CONFIG.dump_python(trusting(config, False), mode="json"),
        **environment.surroundings(),
    }


def config_of(folder: RunFolder, given: Sequence[str] = ()) -> CoSearch:
    """The configuration that a run was started with; `given` are import paths that the user names
    again.

    Raises:
        ValueError: job.json does not hold one, or names an object of the user's own that is not
            followed.
    """
    job = folder.job()
    if "config" not in job:
        raise ValueError(
            f"{folder.path / 'job.json'} holds no configuration: restore it, or start a new run"
        )
    texts = searchspaces.own_paths([_CONFIG.validate_python(job["config"]).space])
    found = _CONFIG.validate_python(
        replaced(job["config"], admitted(texts, job.get("own"), given, folder.path))
    )
    check_values(found)  # somebody may have edited the file
    return trusting(found, False)


def carry_out(folder: RunFolder, config: CoSearch, console: Terminal) -> None:
    """Runs what is still to be done of a run: of a new one everything, of a finished one nothing
    but the report.

    Raises:
        RuntimeError: Training or search cannot go on; what is done stays.
    """
    with cluster(config.cluster.address) as told:
        if told:
            console.print(told)
        gpus = config.cluster.train_gpus
        use_gpu = ray.cluster_resources().get("GPU", 0) > 0 if gpus is None else gpus
        setup = build_setup(config, gpus=1.0 if use_gpu else 0.0)
        for task in setup.tasks:
            if task.supernet == task.label and config.accuracy == "inherited":
                _train(folder, config, task, use_gpu, console)
        study = _measuring(folder, config, setup)
        known = _search(folder, config, setup, study, console)
        _compare(folder, config, study, known, console)
    finish(folder, console)


def finish(folder: RunFolder, console: Terminal) -> None:
    """Prints the front and the methods beside each other, writes the report."""
    job, front = folder.job(), folder.front()
    if front is not None:
        console.print(front_table(job, front))
    outcomes = folder.comparison()
    if outcomes:
        console.print(_methods_table(outcomes))
    write_report([folder], folder.report)
    phases = "  ".join(f"{name} {seconds:.0f} s" for name, seconds in folder.phases().items())
    console.print(phases)
    console.print(f"report: {folder.report}")


def _train(
    folder: RunFolder, config: CoSearch, task: Task, use_gpu: bool, console: Terminal
) -> None:
    options, place = config.cluster, folder.supernet / task.supernet
    workers = (
        (options.min_train_workers, options.train_workers)
        if options.min_train_workers
        else options.train_workers
    )
    recipe = task.options.train
    name = f"train {task.label}"
    with (
        timed(folder, name),
        phase(console, name, total_steps(task.source, recipe)) as bar,
        tailing(lambda: read_metrics(place), bar),
    ):
        train_on_ray(
            task.space,
            task.source,
            recipe,
            seed=config.seed,
            folder=place,
            num_workers=workers,
            use_gpu=use_gpu,
            max_failures=options.max_failures,
            teachers=task.teachers,
        )


def _weights(folder: RunFolder, setup: SearchSetup) -> tuple[Weights, str]:
    """All supernets as the joint one's, and the beginnings of their digests."""
    arrays: dict[str, NDArray[Any]] = {}
    digests: dict[str, str] = {}
    for task in setup.tasks:
        own, digest = weights_of(folder, task)
        arrays |= {f"networks.{task.label}.{name}": array for name, array in own.items()}
        digests[task.supernet] = digest
    return arrays, "+".join(digests.values())


def _measuring(folder: RunFolder, config: CoSearch, setup: SearchSetup) -> Study:
    """The study on trained weights, measured on Ray, kept in the run folder."""
    arrays, digest = _weights(folder, setup) if config.accuracy == "inherited" else (None, "")
    options = config.cluster

    def evaluator(problem: Problem) -> Evaluator:
        inner = direct(problem)
        workers = dict.fromkeys(inner.measured_names, options.accuracy_workers)
        pool = PoolOptions(
            workers_of=workers,
            timeout_seconds=options.timeout_seconds,
            max_attempts=options.max_attempts,
            is_fixed=not joined(options.address),
        )
        return RayEvaluator(inner, arrays, weights_digest=digest, options=pool)

    def ledger(method: str, problem: Problem) -> AbstractContextManager[Ledger]:
        place = folder.inside("comparison", method.replace(" ", "-"), "ledger")
        return FolderLedger(place, schema(problem.value_names, problem.measured_names))

    return dataclasses.replace(setup.study, evaluator=evaluator, ledger=ledger)


def _search(
    folder: RunFolder, config: CoSearch, setup: SearchSetup, study: Study, console: Terminal
) -> Records:
    search, problem = config.search, study.problem(setup.space)
    columns = schema(problem.value_names, problem.measured_names)
    searcher = _searcher(study, problem, config)
    evaluator = SharedEvaluator(problem, study.evaluator(problem), study.memory)
    shards = RayShards(problem, [searcher])
    metrics = SearchMetrics()
    kept = None
    if config.accuracy == "inherited":
        kept = keep_only(
            digest_of(folder, setup.tasks),
            folder.ledger,
            [folder.shards, folder.inside("comparison")],
        )
    try:
        with (
            timed(folder, "search"),
            phase(console, "search", search.evaluations) as bar,
            FolderLedger(folder.ledger, columns) as ledger,
        ):
            evaluator.remember(ledger.records)
            if kept is not None:
                evaluator.remember(kept)

            def show(progress: Progress) -> None:
                metrics.update(progress)
                bar.update(
                    progress.evaluations,
                    f"generation {progress.generation}, front of {progress.front_size}",
                )

            schedule = Schedule(evaluations=search.evaluations, population=search.population)
            Search(
                problem,
                shards,
                evaluator,
                ledger,
                schedule,
                snapshots=folder.shards,
                on_progress=show,
            ).run()
            records = ledger.records
    finally:
        shards.close()
        evaluator.close()
    folder.write_front(picking.front(to_table(records, columns), folder.job()["values"]))
    best = study.best(records)
    if best is None:
        raise RuntimeError("the search measured no design; see the errors in the ledger")
    write_json(
        folder.path / "chip.json", described(study, records.choices[best], values_of(records, best))
    )
    return records


def _searcher(study: Study, problem: Problem, config: CoSearch) -> Searcher:
    if config.search.chips == "exact":
        return methods.exact_searcher(
            study, problem, config.search.searcher, config.seed, config.search.population
        )
    return searchers.load(
        config.search.searcher, problem, seed=config.seed, population=config.search.population
    )


def values_of(records: Records, row: int) -> dict[str, float]:
    """What is known of one record."""
    return {
        name: float(column[row])
        for name, column in records.values.items()
        if np.isfinite(column[row])
    }


def _compare(
    folder: RunFolder, config: CoSearch, study: Study, known: Records, console: Terminal
) -> None:
    """Gives every other method as many network tuples as the search has measured."""
    problem = study.problem()
    counter = SharedEvaluator(problem, _Nothing())
    networks, best = counter.num_subjects(known), study.best(known)
    assert best is not None
    skipped = read_run(folder).statistics.get("rejected", {})
    own = {
        "method": CO_SEARCH,
        "values": values_of(known, best),
        "violation": float(known.violations[best]),
        "num_networks": networks,
        "num_skipped": int(sum(skipped.values())),
        **described(study, known.choices[best], values_of(known, best)),
    }
    _write_outcome(folder, own)
    for method in config.search.compare:
        if (_place(folder, method) / "outcome.json").is_file():
            continue
        with timed(folder, "comparison"), phase(console, method, 1) as bar:
            bar.update(0, f"{networks} network tuples to measure")
            outcome = methods.METHODS[method](
                study, methods.Budget(networks, config.seed, config.search.population)
            )
            bar.update(1, "")
        kept = ("method", "violation", "num_networks", "num_priced", "num_skipped", "seconds")
        told = {name: getattr(outcome, name) for name in kept}
        _write_outcome(
            folder,
            {
                **told,
                "values": dict(outcome.values),
                **described(study, outcome.best, outcome.values),
            },
        )


class _Nothing:
    """An evaluator that nobody asks anything."""

    def submit(self, architectures: Any, share: float = 1.0) -> None: ...

    def collect(self, timeout: float) -> list[Any]:
        return []

    def close(self) -> None: ...


def _place(folder: RunFolder, method: str) -> Any:
    return folder.inside("comparison", method.replace(" ", "-"))


def _write_outcome(folder: RunFolder, outcome: Mapping[str, Any]) -> None:
    place = _place(folder, outcome["method"])
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "outcome.json", dict(outcome))


def _methods_table(outcomes: list[dict[str, Any]]) -> Table:
    first = outcomes[0]["values"]
    names = [ACCURACY, *(name for name in first if name not in (ACCURACY, *COSTS)), *COSTS]
    table = Table(
        "method",
        "specs",
        *names,
        "networks",
        "chip",
        title="Methods at equal numbers of measured networks",
    )
    for outcome in outcomes:
        values = outcome["values"]
        met = "met" if outcome["violation"] <= 0 else f"broken by {outcome['violation']:.2f}"
        cells = [
            f"{values[name]:,.4g}" if values[name] < 1e4 else f"{values[name]:.3e}"
            for name in names
        ]
        chip = " ".join(
            f"{slot['template']} {slot['pes']}x{slot['bandwidth']}" for slot in outcome["chip"]
        )
        table.add_row(outcome["method"], met, *cells, str(outcome["num_networks"]), chip)
    return table
