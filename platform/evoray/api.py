"""`evoray.search`: a whole search in one call, from Python, without Ray."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike
from torch import nn

from evoray import pareto, provenance, searchers, selection
from evoray.bench import weights_of
from evoray.evaluator import Evaluator, LocalEvaluator
from evoray.feasibility import check_feasible
from evoray.halving import Halving, HalvingEvaluator
from evoray.ledger import FolderLedger, MemoryLedger
from evoray.loop import Search
from evoray.migration import Migration
from evoray.problem import Constraint, Problem
from evoray.records import schema, to_table
from evoray.run_folder import RunFolder
from evoray.schedule import Schedule
from evoray.searchers.base import Searcher
from evoray.shard import LocalShards, searchers_for
from evoray.steady import SteadySearch
from evoray.warm_start import warm_started
from objectives.base import CostModel, Goal, Objective
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
        return selection.front(self.records, self.values)

    def hypervolume(self, reference: ArrayLike) -> float:
        """Volume between the front and `reference` (m,), given in the targets' own units and order."""
        best = self.front()
        signs = np.array([Goal(v["goal"]).sign for v in self.values if v["target"]])
        return pareto.hypervolume(selection.losses(best, self.values), signs * np.asarray(reference, dtype=np.float64))

    def pick(self, choice: str = "knee") -> Architecture:
        """The architecture that `choice` names: "knee", "best:NAME", or (the beginning of) a key."""
        row = selection.pick(self.records, self.values, choice)
        return Architecture(self.space.name, tuple(row["choices"]), row["key"])

    def knee(self) -> Architecture:
        """The front's knee."""
        return self.pick("knee")


def search(
    space: SearchSpace,
    objectives: Sequence[Objective | CostModel],
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
    run_dir: str | os.PathLike[str] | None = None,
) -> Result:
    """Evolves architectures of `space` and returns everything it has learnt.

    Args:
        space: Where candidates come from.
        objectives: Measured objectives and cost models, mixed.
        constraints: Bounds on any of them; those on costs hold before anything is measured.
        targets: Names of those to optimise; None for all.
        searcher: A name in `evoray.searchers`, several that the shards take in turns, or a Searcher (which is then the only shard).
            None: "predictor" where something is measured, else "nsga2", and NSGA-III for four targets and more.
        searcher_options: The algorithm's own, such as {"sampler": "GPSampler"} for "optuna_study".
        evaluations: Distinct networks to evaluate.
        population: Candidates a generation and shard; None: 8 for the predictor, 32 for the others.
        num_shards: Parts of the population, which exchange elites.
        migration: How they do; None: two elites along the ring, every second generation.
        asynchronous: Whether a finished candidate is replaced at once instead of at the end of its generation; None: as the
            searcher wants it ("steady_state" does).
        halving: Successive halving over the data of objectives that can be measured on a part of it; None measures on all data.
        warm_start: Run folders of earlier searches of this space: their best are measured first, the predictor learns from all.
        seed: Of all randomness.
        supernet: Trained weights for objectives that need them.
        evaluator: Where to measure; None for this process.
        run_dir: A folder for the ledger and the searcher's state. Given again with the same arguments, the search resumes.

    Raises:
        ValueError: Impossible configuration, or constraints that nothing satisfies; nothing has been written.
        RuntimeError: Every candidate failed, or an objective was never measured.
    """
    measured = tuple(cast(Objective, o) for o in objectives if hasattr(o, "measure"))
    costs = tuple(o for o in objectives if not hasattr(o, "measure"))
    names = tuple(o.name for o in objectives) if targets is None else tuple(targets)
    problem = Problem(space, measured, costs, names, tuple(constraints))
    if searcher is None or isinstance(searcher, str):
        kinds: Sequence[str] = [searcher or searchers.default(problem)]
    else:
        kinds = [] if hasattr(searcher, "ask") else list(searcher)
    size = population if population is not None else searchers.default_population(kinds[0] if kinds else "")
    schedule = Schedule(evaluations=evaluations, population=size, migration=migration or Migration())
    shard_searchers: list[Searcher] = (
        searchers_for(problem, kinds, num_shards=num_shards, seed=seed, population=size, options=searcher_options)
        if kinds
        else [cast(Searcher, searcher)]
    )
    check_feasible(problem, seed)
    shard_searchers = warm_started(problem, shard_searchers, warm_start, population=size)
    described = provenance.describe(problem)
    columns = schema(problem.value_names, problem.measured_names)
    steady = asynchronous if asynchronous is not None else all(getattr(s, "asynchronous", False) for s in shard_searchers)
    if halving is not None and steady:
        raise ValueError("successive halving compares the candidates of a generation, and an asynchronous search has none: choose one")
    with ExitStack() as stack:
        config = {
            "searcher": list(kinds) if kinds else type(searcher).__name__,
            "searcher_options": dict(searcher_options or {}),
            "num_shards": num_shards,
            "population": size,
            "migration": dataclasses.asdict(schedule.migration),
            "asynchronous": steady,
            "halving": None if halving is None else dataclasses.asdict(halving),
            "warm_start": [str(run) for run in warm_start],
        }
        folder = None if run_dir is None else _folder(run_dir, described, config, seed)
        ledger: MemoryLedger | FolderLedger = MemoryLedger(len(space.genes))
        if folder is not None:
            ledger = stack.enter_context(FolderLedger(folder.ledger, columns))
        used = evaluator or LocalEvaluator(problem, None if supernet is None else weights_of(supernet))
        if halving is not None:
            used = HalvingEvaluator(problem, used, halving)
        snapshots = None if folder is None else folder.shards
        shards = LocalShards(problem, shard_searchers)
        search_class = SteadySearch if steady else Search
        search_class(problem, shards, used, ledger, schedule, snapshots=snapshots).run()
        if evaluator is None:
            used.close()
        result = Result(to_table(ledger.records, columns), described["values"], space)
        if folder is not None:
            folder.write_front(result.front())
    return result


def _folder(run_dir: str | os.PathLike[str], described: dict[str, Any], config: dict[str, Any], seed: int) -> RunFolder:
    job = {"job": "evoray.search", "preset": "", "seed": seed, **described, "config": config}
    folder = RunFolder(run_dir)
    if not (folder.path / "job.json").is_file():
        return RunFolder.create(run_dir, {**job, **provenance.surroundings()})
    before = folder.job()
    changed = [name for name in job if before.get(name) != job[name]]
    if changed:
        raise ValueError(f"run folder {folder.path} holds another search (other {', '.join(changed)}): choose another run_dir")
    return folder
