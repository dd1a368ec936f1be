"""The pipeline of a supernet search: train, search, compare with random search. Each phase goes on
where it was left.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

import objectives
import searchspaces
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.metrics import SearchMetrics
from evoray.engine.schedule import Migration, Schedule
from evoray.engine.shard import searchers_for
from evoray.evaluation.successive_halving import Halving, HalvingEvaluator
from evoray.evaluation.worker import Weights, supernet_with
from evoray.problem.problem import describe
from evoray.records.ledger import FolderLedger
from evoray.records.records import Records
from evoray.records.run_folder import RunFolder
from evoray.records.weights_digest import check_weights, keep_only
from evoray.results import picking
from evoray.results.export import ExportedNetwork
from evoray.results.rank_correlation import Probing
from evoray.searchers.parts.warm_start import warm_started
from evoray.training import checkpoints
from evoray.training.config import TrainConfig
from jobs.pipelines import base
from jobs.pipelines.base import Pipeline
from jobs.pipelines.evaluations import ledger_of, picked, write_front
from jobs.pipelines.phases import evolve, pool_of, train_supernet
from jobs.pipelines.retraining import SingleSetup, SingleSupernet
from jobs.pipelines.supernet.build import SearchSetup, build_setup
from jobs.pipelines.supernet.config import SearchOptions, SupernetSearch
from jobs.pipelines.supernet.rank_correlation import accuracy_probing
from jobs.pipelines.teachers import untaught

Run = base.Run[SupernetSearch, SearchSetup]


class SupernetPipeline(Pipeline[SupernetSearch, SearchSetup]):
    """A supernet of image classifiers is trained and searched."""

    config_type = SupernetSearch

    def build_setup(self, config: SupernetSearch, *, gpus: float = 0.0) -> SearchSetup:
        return build_setup(config, gpus=gpus)

    def described(self, config: SupernetSearch, setup: SearchSetup) -> dict[str, Any]:
        return describe(setup.problem)

    def own_paths(self, config: SupernetSearch) -> list[str]:
        named = [*config.search.targets, *config.measure.objectives]
        return [*searchspaces.own_paths([config.space]), *objectives.own_paths(named)]

    def run_phases(self, run: Run) -> None:
        setup = run.setup
        train_supernet(
            run,
            setup.space,
            setup.task,
            run.config.train,
            teachers=setup.teachers,
            place=run.folder.supernet,
        )
        _search(run)

    def exported_networks(
        self, folder: RunFolder, config: SupernetSearch, pick: str
    ) -> tuple[ExportedNetwork, ...]:
        values = folder.job()["values"]
        row = picked(folder, pick)
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
        shape = setup.source.image_shape
        return (ExportedNetwork(network, architecture, setup.space, shape, about),)

    def probing(self, folder: RunFolder, config: SupernetSearch, probes: int) -> Probing:
        return accuracy_probing(folder, config, *supernet_weights(folder), probes)

    def single_supernet(self, folder: RunFolder, config: SupernetSearch) -> SingleSupernet:
        def built(recipe: TrainConfig, trust_code: bool, image_size: int | None) -> SingleSetup:
            size = image_size or config.data.image_size
            data = dataclasses.replace(config.data, image_size=size)
            return build_setup(
                dataclasses.replace(config, train=recipe, trust_code=trust_code, data=data)
            )

        return SingleSupernet(config.train, built)


PIPELINE = SupernetPipeline()


def supernet_weights(folder: RunFolder) -> tuple[Weights, str]:
    """The trained supernet's weights and the beginning of their digest.

    Raises:
        FileNotFoundError: The supernet has no checkpoint.
    """
    weights, digest = checkpoints.load_weights(folder.supernet)
    return {name: tensor.numpy() for name, tensor in weights.items()}, digest


def _search(run: Run) -> None:
    folder, problem, options = run.folder, run.setup.problem, run.config.cluster
    arrays, digest = supernet_weights(folder)
    pool = pool_of(options, workers_of={problem.measured[0].name: options.accuracy_workers})
    evaluator = RayEvaluator(
        problem, arrays, weights_digest=digest, options=pool, keep_files=folder.keep_files
    )
    kept = keep_only(digest, folder.ledger, [folder.shards])
    keep_only(digest, folder.baseline)
    try:
        with ledger_of(folder.ledger, problem) as ledger:
            _evolve(run, evaluator, ledger, kept)
            write_front(folder, ledger)
            if run.config.search.baseline:
                _compare(run, evaluator, ledger.records)
    finally:
        evaluator.close()


def _evolve(run: Run, evaluator: RayEvaluator, ledger: FolderLedger, kept: Records | None) -> None:
    problem, search = run.setup.problem, run.config.search
    searchers = searchers_for(
        problem,
        search.searcher,
        num_shards=search.shards,
        seed=run.config.seed,
        population=search.population,
        options=search.own_options,
    )
    evolve(
        run,
        problem,
        warm_started(problem, searchers, search.warm_start, population=search.population),
        HalvingEvaluator(problem, evaluator, Halving(rungs=search.rungs))
        if search.rungs > 1
        else evaluator,
        ledger,
        _schedule(search),
        snapshots=run.folder.shards,
        reuse=kept,
        is_steady=search.is_steady,
        watch=SearchMetrics().update,
    )


def _schedule(search: SearchOptions) -> Schedule:
    return Schedule(
        evaluations=search.evaluations,
        population=search.population,
        migration=Migration(
            every=search.migrate_every,
            num_migrants=search.num_migrants,
            topology=search.topology,
            select=search.migrants,
        ),
    )


def _compare(run: Run, evaluator: RayEvaluator, known: Records) -> None:
    """Random search with as many evaluations; what the search has measured already is taken from
    it.
    """
    problem, search, place = run.setup.problem, run.config.search, run.folder.baseline
    searchers = searchers_for(
        problem, "random", num_shards=1, seed=run.config.seed, population=search.population
    )
    with ledger_of(place, problem) as ledger:
        evolve(
            run,
            problem,
            searchers,
            evaluator,
            ledger,
            Schedule(evaluations=search.evaluations, population=search.population),
            snapshots=place / "shards",
            reuse=known,
            name="baseline",
        )
