"""`evoray.search`: a whole search in one call, from Python, in this process or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike
from torch import nn

from evoray import arguments, searchers
from evoray.engine.generational import Search
from evoray.engine.schedule import Migration, Schedule
from evoray.engine.shard import LocalShards, ShardGroup, searchers_for
from evoray.engine.steady_state import SteadySearch
from evoray.evaluation.evaluator import Evaluator, LocalEvaluator
from evoray.evaluation.successive_halving import Halving, HalvingEvaluator
from evoray.evaluation.worker import Weights, weights_of
from evoray.pareto import dominance
from evoray.problem.contracts import check_searcher
from evoray.problem.feasible import check_feasible
from evoray.problem.identity import identity
from evoray.problem.plain_values import plain
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
    """Records of a finished search, and the networks to take from it.

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
        space: Search space that candidates come from.
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
        migration: Exchange among the shards; None: two elites along the ring, every second
            generation.
        asynchronous: Replaces a finished candidate at once instead of at the end of its generation;
            None: as the searcher wants it ("steady_state" does).
        halving: Successive halving over the data of objectives that can be measured on a part of
            it; None measures on all data.
        warm_start: Run folders of earlier searches of this space: their best are measured first,
            the predictor learns from all.
        seed: Seeds all randomness.
        supernet: Trained weights for objectives that need them.
        evaluator: Measures candidates; None for this process, or the cluster.
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
    evaluations, population, num_shards, seed = arguments.sizes(
        evaluations, population, num_shards, seed
    )
    arguments.check(
        space,
        objectives,
        constraints,
        evaluator,
        cluster,
        warm_start,
        searcher_options=searcher_options,
        migration=migration,
        halving=halving,
        supernet=supernet,
        run_dir=run_dir,
    )
    problem = _problem(space, objectives, constraints, targets)
    kinds = _kinds(searcher, problem)
    if num_shards > evaluations:
        raise ValueError(
            f"num_shards must be at most evaluations, {evaluations}, or a shard has nothing to do; "
            f"got {num_shards}"
        )
    if population is None:
        population = searchers.default_population(kinds[0] if kinds else "")
    schedule = Schedule(
        evaluations=evaluations, population=population, migration=migration or Migration()
    )
    if kinds:
        shard_searchers = searchers_for(
            problem,
            kinds,
            num_shards=num_shards,
            seed=seed,
            population=population,
            options=searcher_options,
        )
    else:
        shard_searchers = [cast(Searcher, searcher)]
    check_feasible(problem, seed)
    shard_searchers = warm_started(problem, shard_searchers, warm_start, population=population)
    steady = _is_steady(asynchronous, shard_searchers, halving)
    config = {
        "searcher": list(kinds) if kinds else type(searcher).__name__,
        "searcher_options": {
            name: identity(option) for name, option in (searcher_options or {}).items()
        },
        "num_shards": num_shards,
        "population": population,
        "migration": plain(schedule.migration, "migration"),
        "asynchronous": steady,
        "halving": None if halving is None else plain(halving, "halving"),
        "warm_start": [os.path.abspath(run) for run in warm_start],
    }
    job = {"job": "evoray.search", "preset": "", "seed": seed, **describe(problem)}
    job |= {"config": config, "objects": arguments.identities(space, objectives, evaluator)}
    folder = None if run_dir is None else RunFolder(run_dir)
    if folder is not None:
        arguments.check_folder(folder, job)
    weights = None if supernet is None else weights_of(supernet)
    with ExitStack() as stack:
        shards, used = stack.enter_context(
            _measuring(problem, shard_searchers, evaluator, cluster, weights, folder)
        )
        if halving is not None:
            used = HalvingEvaluator(problem, used, halving)
        ledger = stack.enter_context(_ledger(problem, folder, job))
        search_class = SteadySearch if steady else Search
        snapshots = None if folder is None else folder.shards
        search_class(problem, shards, used, ledger, schedule, snapshots=snapshots).run()
    result = Result(to_table(ledger.records, problem.columns()), job["values"], space)
    if folder is not None:
        folder.write_front(result.front())
    return result


def _problem(
    space: SearchSpace,
    objectives: Sequence[Measurable | CostModel],
    constraints: Sequence[Constraint],
    targets: Sequence[str] | None,
) -> Problem:
    measured = tuple(cast(Measurable, o) for o in objectives if is_measured(o))
    costs = tuple(cast(CostModel, o) for o in objectives if not is_measured(o))
    if targets is None:
        targets = [value.name for objective in objectives for value in values_of(objective)]
    return Problem(space, measured, costs, arguments.names(targets, "targets"), tuple(constraints))


def _kinds(searcher: str | Searcher | Sequence[str] | None, problem: Problem) -> Sequence[str]:
    """Names of the searchers that the shards take in turns; none where `searcher` is one itself."""
    if searcher is None or isinstance(searcher, str):
        return [searcher or searchers.default(problem)]
    if hasattr(searcher, "ask"):
        check_searcher(searcher)
        return []
    return arguments.names(searcher, "searcher")


def _is_steady(
    asynchronous: bool | None, shard_searchers: Sequence[Searcher], halving: Halving | None
) -> bool:
    """Decides between the loops: True if a finished candidate is replaced at once.

    Raises:
        ValueError: So it is, and there is successive halving.
    """
    wanted = all(map(is_asynchronous, shard_searchers)) if asynchronous is None else asynchronous
    if wanted and halving is not None:
        raise ValueError(
            "successive halving compares the candidates of a generation, and an asynchronous "
            "search has none: choose one"
        )
    return bool(wanted)


@contextmanager
def _measuring(
    problem: Problem,
    shard_searchers: list[Searcher],
    evaluator: Evaluator | None,
    cluster: str | None,
    weights: Weights | None,
    folder: RunFolder | None,
) -> Iterator[tuple[ShardGroup, Evaluator]]:
    """Shards and evaluator, here or on the cluster; what was opened here is closed at the end."""
    keep_files = None if folder is None else folder.keep_files
    if cluster is not None:
        from evoray.distributed.searching import searching  # imports Ray

        with searching(cluster, problem, shard_searchers, weights, keep_files) as found:
            yield found
        return
    used = evaluator or LocalEvaluator(problem, weights, keep_files=keep_files)
    yield LocalShards(problem, shard_searchers), used
    if evaluator is None:
        used.close()


@contextmanager
def _ledger(
    problem: Problem, folder: RunFolder | None, job: dict[str, Any]
) -> Iterator[MemoryLedger | FolderLedger]:
    """The ledger in memory, or that of the run folder, which is created where it is new."""
    if folder is None:
        yield MemoryLedger(len(problem.space.genes))
        return
    if not (folder.path / "job.json").is_file():
        RunFolder.create(folder.path, {**job, **environment.surroundings()})
    with FolderLedger(folder.ledger, problem.columns()) as ledger:
        yield ledger
