"""The phases of a supernet search: train, search, compare with random search, report. Each goes on
where it was left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray
import torch
from pydantic import TypeAdapter, ValidationError

from evoray.distributed.address import joined
from evoray.distributed.cluster import cluster
from evoray.distributed.evaluator import RayEvaluator
from evoray.distributed.metrics import SearchMetrics
from evoray.distributed.pool import PoolOptions
from evoray.distributed.shards import RayShards
from evoray.distributed.training import train_on_ray
from evoray.engine.generational import Search
from evoray.engine.migration import Migration
from evoray.engine.schedule import Progress, Schedule
from evoray.engine.shard import searchers_for
from evoray.engine.steady_state import SteadySearch
from evoray.evaluation.successive_halving import Halving, HalvingEvaluator
from evoray.evaluation.worker import Weights, supernet_with
from evoray.records import environment
from evoray.records.ledger import FolderLedger, read_ledger
from evoray.records.records import Records, schema, to_table
from evoray.records.run_folder import RunFolder
from evoray.records.weights_digest import check_weights, keep_only
from evoray.report.page import write_report
from evoray.report.tables import front_table
from evoray.results import picking
from evoray.results.export import ExportedNetwork
from evoray.results.rank_correlation import Probing
from evoray.searchers.parts.warm_start import warm_started
from evoray.training import checkpoints
from evoray.training.loop import total_steps
from jobs.pipelines.supernet.build import SearchSetup, build_setup, own_paths
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.pipelines.supernet.rank_correlation import accuracy_probing
from jobs.pipelines.supernet.teachers import trusting, untaught
from jobs.terminal.console import Terminal
from jobs.terminal.limits import check_values
from jobs.terminal.progress import phase, tailing, timed
from searchspaces.own import admitted, recorded, replaced

CONFIG = SupernetSearch
_CONFIG: TypeAdapter[SupernetSearch] = TypeAdapter(SupernetSearch)


def job_of(name: str, preset: str, config: SupernetSearch, setup: SearchSetup) -> dict[str, Any]:
    """What job.json holds."""
    return {
        "job": name,
        "preset": preset,
        "seed": config.seed,
        **environment.describe(setup.problem),
        "own": recorded(own_paths(config)),
        "config": _CONFIG.dump_python(trusting(config, False), mode="json"),
        **environment.surroundings(),
    }


def config_of(folder: RunFolder, given: Sequence[str] = ()) -> SupernetSearch:
    """The configuration that a run was started with; `given` are import paths that the user names
    again.

    Raises:
        ValueError: job.json does not hold one, or names an object of the user's own that is not
            followed.
    """
    job = folder.job()
    if "stages" in job:
        raise ValueError(
            f"run {folder.path} of job {job['job']!r} has no single supernet: this command is for "
            "jobs that train and search one"
        )
    if "config" not in job:
        raise ValueError(
            f"{folder.path / 'job.json'} holds no configuration: restore it, or start a new run"
        )
    try:
        config = _CONFIG.validate_python(job["config"])
    except ValidationError:
        raise ValueError(
            f"the configuration of run {folder.path}, of job {job.get('job')!r}, is none of a "
            "supernet search: this command knows runs of "
            "one network"
        ) from None
    found = _CONFIG.validate_python(
        replaced(job["config"], admitted(own_paths(config), job.get("own"), given, folder.path))
    )
    check_values(found)  # somebody may have edited the file
    return trusting(found, False)


def supernet_weights(folder: RunFolder) -> tuple[Weights, str]:
    """The trained supernet's weights and the beginning of their digest.

    Raises:
        FileNotFoundError: The supernet has no checkpoint.
    """
    weights, digest = checkpoints.load_weights(folder.supernet)
    return {name: tensor.numpy() for name, tensor in weights.items()}, digest


def exported_networks(
    folder: RunFolder, config: SupernetSearch, pick: str
) -> tuple[ExportedNetwork, ...]:
    """The network that `pick` names, with the weights that it has in the supernet.

    Raises:
        ValueError: It names none.
    """
    table = read_ledger(folder.ledger)
    if table is None:
        raise ValueError(
            f"run {folder.path} has no evaluations to pick from: finish it with `evoray resume "
            f"{folder.path}`"
        )
    values = folder.job()["values"]
    row = picking.pick(table, values, pick)
    setup = build_setup(untaught(config))
    weights, digest = supernet_weights(folder)
    check_weights(row, digest, folder.path)
    architecture = picking.network(setup.space, row)
    network = setup.space.build_subnet(supernet_with(setup.space, weights), architecture)
    setup.calibration(network, torch.device("cpu"))
    about = {
        "weights_digest": digest,
        "values": {v["name"]: row[v["name"]] for v in values},
        "source": setup.source.name,
    }
    return (ExportedNetwork(network, architecture, setup.space, setup.source.image_shape, about),)


def probing(folder: RunFolder, config: SupernetSearch, probes: int) -> Probing:
    """Probes of the run, for `evoray trust`.

    Raises:
        ValueError: The run has not so many evaluations.
        FileNotFoundError: The supernet has no checkpoint.
    """
    return accuracy_probing(folder, config, *supernet_weights(folder), probes)


def carry_out(folder: RunFolder, config: SupernetSearch, console: Terminal) -> None:
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
        _train(folder, config, setup, use_gpu, console)
        _search(folder, config, setup, console)
    finish(folder, console)


def finish(folder: RunFolder, console: Terminal) -> None:
    """Writes the report and prints the front."""
    job, table = folder.job(), read_ledger(folder.ledger)
    if table is not None:
        console.print(front_table(job, picking.front(table, job["values"])))
    write_report([folder], folder.report)
    phases = "  ".join(f"{name} {seconds:.0f} s" for name, seconds in folder.phases().items())
    console.print(phases)
    console.print(f"report: {folder.report}")


def _train(
    folder: RunFolder, config: SupernetSearch, setup: SearchSetup, use_gpu: bool, console: Terminal
) -> None:
    options = config.cluster
    workers = (
        (options.min_train_workers, options.train_workers)
        if options.min_train_workers
        else options.train_workers
    )
    with (
        timed(folder, "train"),
        phase(console, "training", total_steps(setup.source, config.train)) as bar,
        tailing(folder.metrics, bar),
    ):
        train_on_ray(
            setup.space,
            setup.source,
            config.train,
            seed=config.seed,
            folder=folder.supernet,
            num_workers=workers,
            use_gpu=use_gpu,
            max_failures=options.max_failures,
            teachers=setup.teachers,
        )


def _search(
    folder: RunFolder, config: SupernetSearch, setup: SearchSetup, console: Terminal
) -> None:
    problem, options = setup.problem, config.cluster
    arrays, digest = supernet_weights(folder)
    pool = PoolOptions(
        workers_of={"accuracy": options.accuracy_workers},
        timeout_seconds=options.timeout_seconds,
        max_attempts=options.max_attempts,
        is_fixed=not joined(options.address),
    )
    evaluator = RayEvaluator(problem, arrays, weights_digest=digest, options=pool)
    columns = schema(problem.value_names, problem.measured_names)
    kept = keep_only(digest, folder.ledger, [folder.shards])
    keep_only(digest, folder.baseline)
    try:
        with FolderLedger(folder.ledger, columns) as ledger:
            _evolve(folder, config, setup, evaluator, ledger, kept, console)
            folder.write_front(
                picking.front(to_table(ledger.records, columns), folder.job()["values"])
            )
            if config.search.baseline:
                _compare(folder, config, setup, evaluator, ledger.records, console)
    finally:
        evaluator.close()


def _evolve(
    folder: RunFolder,
    config: SupernetSearch,
    setup: SearchSetup,
    evaluator: RayEvaluator,
    ledger: FolderLedger,
    kept: Records | None,
    console: Terminal,
) -> None:
    problem, search = setup.problem, config.search
    searchers = searchers_for(
        problem,
        search.searcher,
        num_shards=search.shards,
        seed=config.seed,
        population=search.population,
        options=search.own_options,
    )
    shards = RayShards(
        problem, warm_started(problem, searchers, search.warm_start, population=search.population)
    )
    used = (
        HalvingEvaluator(problem, evaluator, Halving(rungs=search.rungs))
        if search.rungs > 1
        else evaluator
    )
    metrics = SearchMetrics()
    try:
        with timed(folder, "search"), phase(console, "search", search.evaluations) as bar:

            def show(progress: Progress) -> None:
                metrics.update(progress)
                bar.update(progress.evaluations, _search_note(progress))

            schedule = Schedule(
                evaluations=search.evaluations,
                population=search.population,
                migration=Migration(
                    every=search.migrate_every,
                    num_migrants=search.num_migrants,
                    topology=search.topology,
                    select=search.migrants,
                ),
            )
            search_class = SteadySearch if search.is_steady else Search
            search_class(
                problem,
                shards,
                used,
                ledger,
                schedule,
                snapshots=folder.shards,
                reuse=kept,
                on_progress=show,
            ).run()
    finally:
        shards.close()


def _compare(
    folder: RunFolder,
    config: SupernetSearch,
    setup: SearchSetup,
    evaluator: RayEvaluator,
    known: Records,
    console: Terminal,
) -> None:
    """Random search with as many evaluations; what the search has measured already is taken from
    it.
    """
    problem, search = setup.problem, config.search
    shards = RayShards(
        problem,
        searchers_for(
            problem, "random", num_shards=1, seed=config.seed, population=search.population
        ),
    )
    columns = schema(problem.value_names, problem.measured_names)
    try:
        with (
            timed(folder, "baseline"),
            phase(console, "random", search.evaluations) as bar,
            FolderLedger(folder.baseline, columns) as ledger,
        ):
            Search(
                problem,
                shards,
                evaluator,
                ledger,
                Schedule(evaluations=search.evaluations, population=search.population),
                snapshots=folder.baseline / "shards",
                reuse=known,
                on_progress=lambda progress: bar.update(
                    progress.evaluations, "random search, for comparison"
                ),
            ).run()
    finally:
        shards.close()


def _search_note(progress: Progress) -> str:
    failed = f", {progress.failed} failed" if progress.failed else ""
    return f"generation {progress.generation}, front of {progress.front_size}{failed}"
