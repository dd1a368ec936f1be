"""`evoray.search`: a whole search in one call, from Python, in this process or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike
from torch import nn

from evoray import searchers
from evoray.distributed.cluster.address import check_address
from evoray.engine.generational import Search
from evoray.engine.schedule import Migration, Schedule
from evoray.engine.shard import LocalShards, ShardGroup, searchers_for
from evoray.engine.steady_state import SteadySearch
from evoray.evaluation.evaluator import Evaluator, LocalEvaluator
from evoray.evaluation.successive_halving import Halving, HalvingEvaluator
from evoray.evaluation.worker import weights_of
from evoray.pareto import dominance
from evoray.problem.contracts import check_evaluator, check_objective, check_searcher, check_space
from evoray.problem.feasible import check_feasible
from evoray.problem.identity import differences, identity
from evoray.problem.plain_values import plain, whole
from evoray.problem.problem import Constraint, Problem, describe
from evoray.records import environment
from evoray.records.ledger import FolderLedger, MemoryLedger
from evoray.records.run_folder import RunFolder
from evoray.records.table import to_table
from evoray.results import picking
from evoray.searchers.base import Searcher, is_asynchronous
from evoray.searchers.parts.warm_start import warm_started
from objectives.base import CostModel, Goal, Measurable, is_measured, values_of
from searchspaces.base import Architecture, SearchSpace


@dataclass(frozen=True)
class Result:
    """What a search found.

    Attributes:
        records: Every evaluation in the order of completion, the ledger's columns.
        values: Objectives and costs with unit, goal and whether they are targets, as in job.json.
        space: The space searched.
    """

    records: pa.Table
    values: Sequence[dict[str, Any]]  # JSON
    space: SearchSpace

    def front(self) -> pa.Table:
        """The Pareto front: feasible records that no feasible record dominates."""
        return picking.front(self.records, self.values)

    def hypervolume(self, reference: ArrayLike) -> float:
        """Volume between the front and `reference` (m,), given in the targets' own units and
        order.
        """
        best = self.front()
        signs = np.array([Goal(v["goal"]).sign for v in self.values if v["target"]])
        return dominance.hypervolume(
            picking.losses(best, self.values), signs * np.asarray(reference, dtype=np.float64)
        )

    def pick(self, choice: str = "knee") -> Architecture:
        """The architecture that `choice` names: "knee", "best:NAME", or (the beginning of) a
        key.
        """
        row = picking.pick(self.records, self.values, choice)
        return Architecture(self.space.name, tuple(row["choices"]), row["key"])

    def knee(self) -> Architecture:
        """The front's knee."""
        return self.pick("knee")


def search(
    space: SearchSpace,
    objectives: Sequence[Measurable | CostModel],
    *,
    constraints: Sequence[Constraint] = (),
    targets: Sequence[str] | None = None,
    searcher: str | Searcher | Sequence[str] | None = None,
    searcher_options: Mapping[str, Any] | None = None,
    evaluations: int = 256,
    population: int | None = None,
    num_shards: int = 1,
    migration: Migration | None = None,
    asynchronous: bool | None = None,
    halving: Halving | None = None,
    warm_start: Sequence[str | os.PathLike[str]] = (),
    seed: int = 0,
    supernet: nn.Module | None = None,
    evaluator: Evaluator | None = None,
    cluster: str | None = None,
    run_dir: str | os.PathLike[str] | None = None,
) -> Result:
    """Evolves architectures of `space` and returns everything it has learnt.

    Args:
        space: Where candidates come from.
        objectives: Measured objectives and cost models, mixed.
        constraints: Bounds on any of them; those on costs hold before anything is measured.
        targets: Names of the values to optimise, of an objective with several perhaps only some;
            None for all.
        searcher: A name in `evoray.searchers`, several that the shards take in turns, or a Searcher
            (which is then the only shard). None: "predictor" where something is measured, else
            "nsga2", and NSGA-III for four targets and more.
        searcher_options: The algorithm's own, such as {"sampler": "GPSampler"} for "optuna_study".
        evaluations: Distinct networks to evaluate.
        population: Candidates a generation and shard; None: 8 for the predictor, 32 for the others.
        num_shards: Parts of the population, which exchange elites.
        migration: How they do; None: two elites along the ring, every second generation.
        asynchronous: Whether a finished candidate is replaced at once instead of at the end of its
            generation; None: as the searcher wants it ("steady_state" does).
        halving: Successive halving over the data of objectives that can be measured on a part of
            it; None measures on all data.
        warm_start: Run folders of earlier searches of this space: their best are measured first,
            the predictor learns from all.
        seed: Of all randomness.
        supernet: Trained weights for objectives that need them.
        evaluator: Where to measure; None for this process, or the cluster.
        cluster: None for this process; "local" for a Ray cluster of its own, which ends with the
            search, "auto" for the one that `ray start` started on this machine, HOST:PORT for
            another. Shards and objectives run there, with the same records.
        run_dir: A folder for the ledger and the searcher's state. Given again with the same
            arguments, the search resumes.

    Raises:
        ValueError: Impossible configuration, or constraints that nothing satisfies; nothing has
            been written.
        RuntimeError: Every candidate failed, or an objective was never measured.
        ConnectionError: There is no such cluster; nothing has been written.
    """
    evaluations, population, num_shards, seed = _sizes(evaluations, population, num_shards, seed)
    _check_arguments(space, objectives, constraints, evaluator)
    _check_cluster(cluster, evaluator)
    _check_kinds(
        searcher_options=searcher_options,
        migration=migration,
        halving=halving,
        supernet=supernet,
        run_dir=run_dir,
    )
    if isinstance(warm_start, str | bytes | os.PathLike):
        raise ValueError(
            f"warm_start must be a list of run folders, got {warm_start!r}: write [...] around a "
            "single one"
        )
    measured = tuple(cast(Measurable, o) for o in objectives if is_measured(o))
    costs = tuple(cast(CostModel, o) for o in objectives if not is_measured(o))
    every = tuple(value.name for o in objectives for value in values_of(o))
    names = every if targets is None else _names(targets, "targets")
    problem = Problem(space, measured, costs, names, tuple(constraints))
    if searcher is None or isinstance(searcher, str):
        kinds: Sequence[str] = [searcher or searchers.default(problem)]
    else:
        kinds = [] if hasattr(searcher, "ask") else _names(searcher, "searcher")
    if not kinds:
        check_searcher(searcher)
    if num_shards > evaluations:
        raise ValueError(
            f"num_shards must be at most evaluations, {evaluations}, or a shard has nothing to do; "
            f"got {num_shards}"
        )
    size = (
        population
        if population is not None
        else searchers.default_population(kinds[0] if kinds else "")
    )
    schedule = Schedule(
        evaluations=evaluations, population=size, migration=migration or Migration()
    )
    shard_searchers: list[Searcher] = (
        searchers_for(
            problem,
            kinds,
            num_shards=num_shards,
            seed=seed,
            population=size,
            options=searcher_options,
        )
        if kinds
        else [cast(Searcher, searcher)]
    )
    check_feasible(problem, seed)
    shard_searchers = warm_started(problem, shard_searchers, warm_start, population=size)
    described = describe(problem)
    columns = problem.columns()
    steady = (
        asynchronous if asynchronous is not None else all(map(is_asynchronous, shard_searchers))
    )
    if halving is not None and steady:
        raise ValueError(
            "successive halving compares the candidates of a generation, and an asynchronous "
            "search has none: choose one"
        )
    config = {
        "searcher": list(kinds) if kinds else type(searcher).__name__,
        "searcher_options": {
            name: identity(option) for name, option in (searcher_options or {}).items()
        },
        "num_shards": num_shards,
        "population": size,
        "migration": plain(schedule.migration, "migration"),
        "asynchronous": bool(steady),
        "halving": None if halving is None else plain(halving, "halving"),
        "warm_start": [os.path.abspath(run) for run in warm_start],
    }
    job = {"job": "evoray.search", "preset": "", "seed": seed, **described, "config": config}
    job["objects"] = _identities(space, objectives, evaluator)
    folder = None if run_dir is None else RunFolder(run_dir)
    is_new = folder is not None and not (folder.path / "job.json").is_file()
    if folder is not None:
        _check_folder(folder, job)
    with ExitStack() as stack:
        shards: ShardGroup
        weights = None if supernet is None else weights_of(supernet)
        keep = None if folder is None else folder.keep_files
        if cluster is None:
            shards, used = (
                LocalShards(problem, shard_searchers),
                evaluator or LocalEvaluator(problem, weights, keep_files=keep),
            )
        else:
            from evoray.distributed.searching import (
                searching,
            )  # Ray is imported only where it is asked for

            shards, used = stack.enter_context(
                searching(cluster, problem, shard_searchers, weights, keep)
            )
        if halving is not None:
            used = HalvingEvaluator(problem, used, halving)
        ledger: MemoryLedger | FolderLedger = MemoryLedger(len(space.genes))
        if folder is not None:
            if is_new:
                RunFolder.create(folder.path, {**job, **environment.surroundings()})
            ledger = stack.enter_context(FolderLedger(folder.ledger, columns))
        snapshots = None if folder is None else folder.shards
        search_class = SteadySearch if steady else Search
        search_class(problem, shards, used, ledger, schedule, snapshots=snapshots).run()
        if evaluator is None and cluster is None:
            used.close()
        result = Result(to_table(ledger.records, columns), described["values"], space)
        if folder is not None:
            folder.write_front(result.front())
    return result


def _sizes(
    evaluations: int, population: int | None, num_shards: int, seed: int
) -> tuple[int, int | None, int, int]:
    """The numbers of a search as Python's, whoever wrote them."""
    least = 1
    return (
        whole(evaluations, "evaluations", least),
        None if population is None else whole(population, "population", least),
        whole(num_shards, "num_shards", least),
        whole(seed, "seed"),
    )


def _check_arguments(
    space: Any, objectives: Any, constraints: Any, evaluator: Any
) -> None:  # Any: whatever a user hands in
    check_space(space)
    for name, value, kind in (
        ("objectives", objectives, "objectives and cost models"),
        ("constraints", constraints, "evoray.Constraint"),
    ):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError(
                f"{name} must be a list of {kind}, got {type(value).__qualname__}: write [...] "
                "around a single one"
            )
    for objective in objectives:
        check_objective(objective)
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise ValueError(
                'constraints must be evoray.Constraint, such as Constraint("macs", at_most=2e6), '
                f"got {constraint!r}"
            )
    if evaluator is not None:
        check_evaluator(evaluator)


def _check_cluster(cluster: Any, evaluator: Any) -> None:  # Any: whatever a user hands in
    if cluster is None:
        return
    if not isinstance(cluster, str) or not cluster:
        raise ValueError(
            'cluster must be "local", "auto", HOST:PORT of a Ray cluster, or None for this '
            f"process, got {cluster!r}"
        )
    check_address(cluster, "cluster")
    if evaluator is not None:
        raise ValueError(
            f"evaluator and cluster both say where to measure, got {type(evaluator).__qualname__} "
            f"and {cluster!r}: leave one out"
        )


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "searcher_options": (Mapping, "a dict of the searcher's options by name"),
    "migration": (Migration, "an evoray.engine.schedule.Migration"),
    "halving": (Halving, "an evoray.evaluation.successive_halving.Halving"),
    "supernet": (nn.Module, "a torch module with trained weights"),
    "run_dir": ((str, os.PathLike), "the path of a folder"),
}


def _check_kinds(**arguments: Any) -> None:  # Any: whatever a user hands in
    for argument, value in arguments.items():
        kind, expected = _KINDS[argument]
        if value is not None and not isinstance(value, kind):
            raise ValueError(
                f"{argument} must be {expected}, or None, got {type(value).__qualname__} "
                f"{value!r:.200}"
            )


def _identities(
    space: SearchSpace, objectives: Sequence[Measurable | CostModel], evaluator: Evaluator | None
) -> dict[str, Any]:
    """JSON of what the user's objects are, by name; evoray's own evaluators measure alike and are
    left out.
    """
    objects = {"space": identity(space), **{o.name: identity(o) for o in objectives}}
    if evaluator is not None and not type(evaluator).__module__.startswith("evoray."):
        objects["evaluator"] = identity(evaluator)
    return objects


def _names(value: Any, argument: str) -> tuple[str, ...]:  # Any: whatever a user hands in
    if (
        isinstance(value, str)
        or not isinstance(value, Sequence)
        or not all(isinstance(name, str) for name in value)
    ):
        raise ValueError(f"{argument} must be a list of names, got {value!r:.200}")
    return tuple(value)


def _check_folder(folder: RunFolder, job: Mapping[str, Any]) -> None:
    """
    Raises:
        ValueError: It holds another search; names what differs.
        FileExistsError: It holds something else.
    """
    if not (folder.path / "job.json").is_file():
        folder.check_free()
        return
    before = folder.job()
    changed = [name for name in job if name != "objects" and before.get(name) != job[name]]
    if changed:
        raise ValueError(
            f"run folder {folder.path} holds another search (other {', '.join(changed)}): choose "
            "another run_dir"
        )
    if "objects" not in before:  # of a version that did not write them
        return
    found = differences(before["objects"], job["objects"])
    if found:
        raise ValueError(
            f"run folder {folder.path} holds values of other objects ({'; '.join(found[:3])}), "
            "which must not be mixed: "
            "choose another run_dir, or hand in what it was started with"
        )
