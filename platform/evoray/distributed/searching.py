"""The shards and the evaluator of one search on a Ray cluster, for `evoray.search`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import ray

from evoray.distributed.cluster.connection import cluster
from evoray.distributed.cluster.shipping import check_ships
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.evaluation.pool import PoolOptions
from evoray.distributed.shards import RayShards
from evoray.evaluation.evaluator import KeepFiles
from evoray.evaluation.worker import Weights
from evoray.problem.problem import Problem
from evoray.searchers.base import Searcher
from objectives.base import CostModel, Measurable

_NO_LIMIT = 1e9  # seconds: as in this process, a measurement may take as long as it wants


@contextmanager
def searching(
    address: str,
    problem: Problem,
    searchers: Sequence[Searcher],
    weights: Weights | None,
    keep_files: KeepFiles | None = None,
) -> Iterator[tuple[RayShards, RayEvaluator]]:
    """Connects, starts an actor for each shard and as many for the objectives as there is room for;
    ends what it started.

    Raises:
        ValueError: Something cannot be sent to a worker, or an objective needs more than a local
            cluster has.
        ConnectionError: There is no cluster at `address`.
    """
    check_ships(problem.space, f"space {problem.space.name!r}")
    parts: tuple[Measurable | CostModel, ...] = (*problem.measured, *problem.costs)
    for value in parts:
        check_ships(value, f"{type(value).__qualname__} {value.name!r}")
    for searcher in searchers:
        check_ships(searcher, f"searcher {type(searcher).__qualname__}")
    with cluster(address, dashboard=False):
        workers = _room(problem, ray.cluster_resources(), is_fixed=address == "local")
        pool = PoolOptions(workers=workers, timeout_seconds=_NO_LIMIT, is_fixed=address == "local")
        evaluator = RayEvaluator(problem, weights, options=pool, keep_files=keep_files)
        try:
            shards = RayShards(problem, searchers)
            try:
                yield shards, evaluator
            finally:
                shards.close()
        finally:
            evaluator.close()


def _room(problem: Problem, has: Mapping[str, float], *, is_fixed: bool) -> int:
    """Actors of each objective, so that those of all objectives run beside each other; one at
    least.

    Raises:
        ValueError: An objective needs more than there will ever be.
    """
    room = math.inf
    for resource, part in (("CPU", "cpus"), ("GPU", "gpus")):
        there = has.get(resource, 0.0)
        for objective in problem.measured:
            needed = getattr(objective.needs, part)
            if is_fixed and needed > there:
                raise ValueError(
                    f"objective {objective.name!r} needs {needed:g} {part}, and this machine "
                    f"offers {there:g}: lower its needs, or "
                    "name a cluster that has them"
                )
        total = sum(getattr(objective.needs, part) for objective in problem.measured)
        room = min(room, there // total if total else math.inf)
    return max(1, int(room)) if math.isfinite(room) else 1
