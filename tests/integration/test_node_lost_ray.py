"""A whole node is killed in a running search: its actors start elsewhere, and the records are those
of a search in one process.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster

from benchmarks.parts.processes import eventually, workers
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.evaluation.pool import PoolOptions
from evoray.distributed.shards import RayShards
from evoray.engine.generational import Search
from evoray.engine.schedule import Migration, Schedule
from evoray.engine.shard import LocalShards, searchers_for
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from objectives.base import Needs
from tests.synthetic import Score, table_problem

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(150)]

SCHEDULE = Schedule(evaluations=60, population=10, migration=Migration(every=2, num_migrants=2))
ON_EXTRA_NODE = Needs(cpus=1.0, label="extra")


@pytest.fixture
def nodes(cluster_environment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without cores for actors; tests add nodes with the label "extra". It notices within
    two seconds that a node is gone.
    """
    monkeypatch.setenv(
        "RAY_TMPDIR", cluster_environment
    )  # nobody else's program shall find this cluster
    os.makedirs(f"{cluster_environment}/ray", exist_ok=True)
    quick = {
        "health_check_initial_delay_ms": 500,
        "health_check_period_ms": 500,
        "health_check_failure_threshold": 4,
        "health_check_timeout_ms": 1000,
    }
    head = {"num_cpus": 0, "include_dashboard": False, "_system_config": quick}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def add(nodes: Cluster) -> Any:  # Any: a node of Ray's
    return nodes.add_node(num_cpus=3, resources={"extra": 1.0}, wait=True)


def kill(node: Any) -> None:
    """The node's raylet, and with it all its workers."""
    os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)


def facts(ledger: MemoryLedger) -> dict[str, tuple[object, ...]]:
    return {
        r.key: (r.choices, dict(r.values), r.status, r.shard, r.generation, r.parents, r.operator)
        for r in ledger.records
    }


def searched(
    problem: Problem, shards: Any, evaluator: Any, ledger: MemoryLedger
) -> dict[str, tuple[object, ...]]:
    try:
        Search(problem, shards, evaluator, ledger, SCHEDULE).run()
    finally:
        evaluator.close()
        shards.close()
    return facts(ledger)


def test_a_node_killed_while_it_opens_and_one_killed_while_it_measures_change_nothing(
    nodes: Cluster,
) -> None:
    plain = table_problem()
    searchers = searchers_for(plain, "nsga2", num_shards=2, seed=3, population=10)
    expected = searched(plain, LocalShards(plain, searchers), LocalEvaluator(plain), MemoryLedger())

    problem = table_problem(score=SlowToOpen(needs=ON_EXTRA_NODE, seconds=0.05))
    ledger, found = MemoryLedger(), []
    node = add(nodes)  # Ray starts nodes in the main thread only, so the search is in another
    evaluator = RayEvaluator(problem, options=PoolOptions(workers=3, max_attempts=1))
    shards = RayShards(
        problem, searchers_for(problem, "nsga2", num_shards=2, seed=3, population=10)
    )
    thread = threading.Thread(
        target=lambda: found.append(searched(problem, shards, evaluator, ledger)), daemon=True
    )
    thread.start()
    assert eventually(lambda: len(workers("ray::EvaluationWorker")) == 3, patience_seconds=60)
    kill(node)
    assert len(ledger) == 0, "the actors were open already"
    node = add(nodes)
    assert eventually(lambda: len(ledger) >= 8, patience_seconds=40)
    kill(node)
    assert len(ledger) < 60
    add(nodes)
    thread.join(60)
    assert found == [expected]


@dataclass(frozen=True)
class SlowToOpen(Score):
    """Takes two seconds to open, such as for loading data."""

    needs: Needs = field(default_factory=lambda: ON_EXTRA_NODE)

    def open(self, device: torch.device) -> None:
        time.sleep(2.0)
