"""The phases of a co-search: supernets, search, comparison with other methods, report. Each goes on
where it was left.

A run folder holds beside the usual: supernet/TASK/ for each task's supernet, and what
evoray.report.chip_files tells of.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

import searchspaces
from evoray import searchers
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.metrics import SearchMetrics
from evoray.engine.schedule import Schedule
from evoray.evaluation.evaluator import Evaluator
from evoray.evaluation.shared import SharedEvaluator, direct
from evoray.evaluation.worker import Weights
from evoray.problem.problem import Problem, describe
from evoray.records.ledger import Ledger
from evoray.records.records import Records
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.weights_digest import keep_only
from evoray.report.chip import method_rows
from evoray.report.chip_files import EVOLUTION, chip_place, method_place, read_outcomes
from evoray.results.export import ExportedNetwork
from evoray.results.rank_correlation import Probing
from evoray.searchers.base import Searcher
from evoray.training import tasks
from jobs.pipelines import base
from jobs.pipelines.base import Pipeline
from jobs.pipelines.cosearch import methods
from jobs.pipelines.cosearch.build import SearchSetup, build_setup
from jobs.pipelines.cosearch.config import CoSearch
from jobs.pipelines.cosearch.design import described
from jobs.pipelines.cosearch.rank_correlation import accuracy_probing
from jobs.pipelines.cosearch.report import REPORT
from jobs.pipelines.cosearch.results import digest_of, exported_networks, weights_of
from jobs.pipelines.cosearch.study import Study
from jobs.pipelines.evaluations import ledger_of, write_front
from jobs.pipelines.phases import evolve, pool_of, train_supernet
from jobs.terminal.console import Terminal
from jobs.terminal.progress import phase, timed

Run = base.Run[CoSearch, SearchSetup]


class CoSearchPipeline(Pipeline[CoSearch, SearchSetup]):
    """The networks of two tasks and the chip that runs them are searched together."""

    config_type = CoSearch
    report = REPORT

    def build_setup(self, config: CoSearch, *, gpus: float = 0.0) -> SearchSetup:
        return build_setup(config, gpus=gpus)

    def described(self, config: CoSearch, setup: SearchSetup) -> dict[str, Any]:
        return describe(setup.study.problem(setup.space))

    def own_paths(self, config: CoSearch) -> list[str]:
        return searchspaces.own_paths([config.space])

    def run_phases(self, run: Run) -> None:
        for task in run.setup.tasks:
            if task.supernet == task.label and run.config.accuracy == "inherited":
                train_supernet(
                    run,
                    task.space,
                    tasks.of(task.source, task.options.train),
                    task.options.train,
                    teachers=task.teachers,
                    place=run.folder.supernet / task.supernet,
                    name=f"train {task.label}",
                )
        study = _measuring(run)
        _compare(run, study, _search(run, study))

    def exported_networks(
        self, folder: RunFolder, config: CoSearch, pick: str
    ) -> tuple[ExportedNetwork, ...]:
        return exported_networks(folder, config, pick)

    def probing(self, folder: RunFolder, config: CoSearch, probes: int) -> Probing:
        return accuracy_probing(folder, config, probes)

    def summarize(self, folder: RunFolder, console: Terminal) -> None:
        outcomes = read_outcomes(folder)
        if outcomes:
            names, rows = method_rows(outcomes)
            title = "Methods at equal numbers of measured networks"
            table = Table("method", "specs", *names, "networks", "skipped", "chip", title=title)
            for cells in rows:
                table.add_row(*cells)
            console.print(table)


PIPELINE = CoSearchPipeline()


def _weights(folder: RunFolder, setup: SearchSetup) -> tuple[Weights, str]:
    """All supernets as the joint one's, and the beginnings of their digests."""
    arrays: dict[str, NDArray[Any]] = {}
    digests: dict[str, str] = {}
    for task in setup.tasks:
        own, digest = weights_of(folder, task)
        arrays |= {f"networks.{task.label}.{name}": array for name, array in own.items()}
        digests[task.supernet] = digest
    return arrays, "+".join(digests.values())


def _measuring(run: Run) -> Study:
    """The study on trained weights, measured on Ray, kept in the run folder."""
    folder, config = run.folder, run.config
    arrays, digest = _weights(folder, run.setup) if config.accuracy == "inherited" else (None, "")
    options = config.cluster

    def evaluator(problem: Problem) -> Evaluator:
        inner = direct(problem)
        workers = dict.fromkeys(inner.measurements, options.accuracy_workers)
        pool = pool_of(options, workers_of=workers)
        return RayEvaluator(inner, arrays, weights_digest=digest, options=pool)

    def ledger(method: str, problem: Problem) -> AbstractContextManager[Ledger]:
        return ledger_of(method_place(folder, method) / "ledger", problem)

    return dataclasses.replace(run.setup.study, evaluator=evaluator, ledger=ledger)


def _search(run: Run, study: Study) -> Records:
    folder, search, problem = run.folder, run.config.search, study.problem(run.setup.space)
    searcher = _searcher(study, problem, run.config)
    evaluator = SharedEvaluator(problem, study.evaluator(problem), study.memory)
    kept = None
    if run.config.accuracy == "inherited":
        kept = keep_only(
            digest_of(folder, run.setup.tasks),
            folder.ledger,
            [folder.shards, folder.inside("comparison")],
        )
    try:
        with ledger_of(folder.ledger, problem) as ledger:
            evaluator.remember(ledger.records)
            if kept is not None:
                evaluator.remember(kept)
            evolve(
                run,
                problem,
                [searcher],
                evaluator,
                ledger,
                Schedule(evaluations=search.evaluations, population=search.population),
                snapshots=folder.shards,
                watch=SearchMetrics().update,
            )
            records = ledger.records
            write_front(folder, ledger)
    finally:
        evaluator.close()
    best = study.best(records)
    if best is None:
        raise RuntimeError("the search measured no design; see the errors in the ledger")
    write_json(
        chip_place(folder), described(study, records.choices[best], values_of(records, best))
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
    """Known values of one record, by name; those that are NaN or infinite are left out."""
    return {
        name: float(column[row])
        for name, column in records.values.items()
        if np.isfinite(column[row])
    }


def _compare(run: Run, study: Study, known: Records) -> None:
    """Gives every other method as many network tuples as the search has measured."""
    folder, config = run.folder, run.config
    problem = study.problem()
    counter = SharedEvaluator(problem, _Nothing())
    networks, best = counter.num_subjects(known), study.best(known)
    assert best is not None
    skipped = folder.statistics().get("rejected", {})
    own = {
        "method": EVOLUTION,
        "values": values_of(known, best),
        "violation": float(known.violations[best]),
        "num_networks": networks,
        "num_skipped": int(sum(skipped.values())),
        **described(study, known.choices[best], values_of(known, best)),
    }
    _write_outcome(folder, own)
    for method in config.search.compare:
        if (method_place(folder, method) / "outcome.json").is_file():
            continue
        with timed(folder, "comparison"), phase(run.console, method, 1) as bar:
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


def _write_outcome(folder: RunFolder, outcome: Mapping[str, Any]) -> None:
    place = method_place(folder, outcome["method"])
    place.mkdir(parents=True, exist_ok=True)
    write_json(place / "outcome.json", dict(outcome))
