"""Efficiency of a search on up to 64 one-CPU workers, and the load at which its driver saturates;
one JSON line.

    evoray bench scaling [--seconds 0.1] [--nodes 1 2 4] [--evaluations 60]

Measured on the real thing: what one evaluation costs the driver in the search itself (in process,
with an evaluator that answers at once), and what a call to an actor and a candidate in it cost (two
warm actors whose objective does nothing). A discrete-event model with these costs, in which one
driver serves all workers in turn, gives efficiency for 1 to 64 workers: work done over workers
times wall-clock. It is checked against steady-state searches on a local cluster of 1, 2 and 4
one-CPU nodes (ray.cluster_utils) with an objective that sleeps `--seconds`: `model_over_real`
should be near 1. Costs are CPU time of all the driver's threads as though they took turns, which is
on the careful side; the nodes share this machine's cores, which is not in the model.
"""

from __future__ import annotations

import argparse
import heapq
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import ray
from ray.cluster_utils import Cluster

from benchmarks.parts.spaces import Grid, Restless
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.evaluation.pool import PoolOptions
from evoray.engine.schedule import Schedule
from evoray.engine.shard import LocalShards, searchers_for
from evoray.engine.steady_state import SteadySearch
from evoray.evaluation.evaluator import Evaluator
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from evoray.records.records import Record
from objectives.base import Needs
from searchspaces.base import Architecture, architectures

WORKERS = (1, 2, 4, 8, 16, 32, 64)
DURATIONS = (0.01, 0.1, 1.0, 10.0)
CALL_SECONDS = 0.1  # a call lasts so long at least, and
PIPELINED_SECONDS = 0.25  # one that is shorter than this is sent while another runs, as in the pool


@dataclass(frozen=True)
class DriverCosts:
    """Seconds of the driver: `search` and `candidate` for each evaluation, `call` for each call to
    an actor, there and back.
    """

    search: float
    call: float
    candidate: float

    def of_call(self, batch: int) -> float:
        return self.call + batch * (self.search + self.candidate)


def batch_of(duration: float) -> int:
    """Number of candidates that go into one call."""
    return max(1, int(CALL_SECONDS / duration))


def modelled_efficiency(
    workers: int, duration: float, evaluations: int, costs: DriverCosts
) -> float:
    """Efficiency of a steady-state search in the model: the driver takes an answer, breeds, and
    sends the next call to the same worker.
    """
    batch = batch_of(duration)
    num_calls = max(workers, evaluations // batch)
    free_at = [0.0] * workers
    answers: list[tuple[float, int]] = []
    driver, sent = 0.0, 0

    def send(worker: int) -> None:
        nonlocal sent
        sent += 1
        free_at[worker] = max(free_at[worker], driver) + batch * duration
        heapq.heappush(answers, (free_at[worker], worker))

    for _ in range(2 if batch * duration < PIPELINED_SECONDS else 1):
        for worker in range(workers):
            if sent < num_calls:
                driver += costs.of_call(batch) / 2  # there; the way back is paid with the answer
                send(worker)
    while answers:
        answered, worker = heapq.heappop(answers)
        driver = max(driver, answered) + costs.of_call(batch)
        if sent < num_calls:
            send(worker)
    return num_calls * batch * duration / (workers * driver)


class Instant:
    """Answers one candidate after the other, at once."""

    def __init__(self) -> None:
        self._queue: list[Architecture] = []

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        self._queue += architectures

    def collect(self, timeout: float) -> list[Record]:
        architecture = self._queue.pop(0)
        values, took = {"restless": float(len(self._queue) % 7)}, {"restless": 0.0}
        return [
            Record(key=architecture.key, choices=architecture.choices, values=values, seconds=took)
        ]

    def close(self) -> None:
        """Nothing to free."""


def problem_of(seconds: float) -> Problem:
    return Problem(Grid(), (Restless(seconds, needs=Needs(cpus=1.0)),), (), ("restless",))


def search(
    evaluator: Evaluator, problem: Problem, evaluations: int, in_flight: int
) -> tuple[float, float]:
    """Seconds that the objective took in all, and wall-clock."""
    shards = LocalShards(
        problem, searchers_for(problem, "steady_state", num_shards=1, seed=0, population=64)
    )
    ledger = MemoryLedger()
    start = time.perf_counter()
    SteadySearch(
        problem,
        shards,
        evaluator,
        ledger,
        Schedule(evaluations=evaluations, population=64, in_flight=in_flight),
    ).run()
    wall = time.perf_counter() - start
    return float(ledger.records.seconds["restless"].sum()), wall


def warm(problem: Problem, workers: int, batch: int | None = None) -> RayEvaluator:
    """An evaluator whose actors have all measured."""
    evaluator = RayEvaluator(problem, options=PoolOptions(workers=workers, batch_size=batch))
    rng, seen = np.random.default_rng(99), set[str]()
    while len(seen) < workers:
        rows = rng.integers(
            0, 10, (4 * workers * (batch or 1), len(problem.space.genes)), dtype=np.int16
        )
        seen |= {record.worker for record in drain(evaluator, architectures(problem.space, rows))}
        time.sleep(0.05)  # leaves the cores to the actors that open
    return evaluator


def drain(evaluator: RayEvaluator, candidates: list[Architecture]) -> list[Record]:
    evaluator.submit(candidates)
    records: list[Record] = []
    while len(records) < len(candidates):
        records += evaluator.collect(1.0)
    return records


def dispatch_seconds(batch: int, num: int) -> float:
    """CPU seconds of the driver for each candidate through warm actors that do nothing."""
    problem = problem_of(0.0)
    evaluator = warm(problem, 2, batch)
    candidates = architectures(
        problem.space, np.random.default_rng(batch).integers(0, 10, (num, 20), dtype=np.int16)
    )
    start = time.process_time()
    drain(evaluator, candidates)
    took = time.process_time() - start
    evaluator.close()
    return took / num


def driver_costs() -> DriverCosts:
    """Measured; needs a cluster of two nodes or more."""
    problem = problem_of(0.0)
    search(Instant(), problem, 500, 64)
    start = time.process_time()
    search(Instant(), problem, 3000, 64)
    of_search = (time.process_time() - start) / 3000
    singly, together = dispatch_seconds(1, 2000), dispatch_seconds(16, 16_000)
    call = max(0.0, (singly - together) * 16 / 15)
    return DriverCosts(of_search, call, max(0.0, singly - call))


def real_efficiencies(cluster: Cluster, options: argparse.Namespace) -> dict[int, float]:
    """Measures the efficiency of a real search by number of nodes; the cluster grows."""
    found, there = {}, 0
    for nodes in sorted(options.nodes):
        for _ in range(nodes - there):
            cluster.add_node(num_cpus=1)
        there = nodes
        cluster.wait_for_nodes()
        problem = problem_of(options.seconds)
        evaluator = warm(problem, nodes)
        worked, wall = search(
            evaluator, problem, options.evaluations * nodes, 4 * nodes * batch_of(options.seconds)
        )
        evaluator.close()
        found[nodes] = worked / (nodes * wall)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench scaling")
    parser.add_argument(
        "--seconds", type=float, default=0.1, help="of one evaluation on the real cluster"
    )
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--evaluations", type=int, default=60, help="for each node")
    options = parser.parse_args()
    if max(options.nodes) < 2:
        parser.error(
            "--nodes needs at least one cluster of 2 or more: two actors measure the driver's costs"
        )
    folder = tempfile.mkdtemp(
        prefix="ray-", dir="/tmp"
    )  # short: socket paths are limited to 107 bytes
    head = {"num_cpus": 0, "include_dashboard": False, "temp_dir": folder}
    os.environ["RAY_TMPDIR"] = (
        folder  # where the cluster's address is written, so that no other program finds it
    )
    os.makedirs(f"{folder}/ray")
    cluster = Cluster()
    try:
        cluster.add_node(**head)
        cluster.connect(namespace="scaling")
        logging.getLogger("ray").setLevel(logging.ERROR)
        real = real_efficiencies(cluster, options)
        costs = driver_costs()
    finally:
        ray.shutdown()
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
    check = {
        n: modelled_efficiency(n, options.seconds, options.evaluations * n, costs) for n in real
    }
    curves = {
        d: {
            n: round(modelled_efficiency(n, d, max(2000, 200 * n * batch_of(d)), costs), 4)
            for n in WORKERS
        }
        for d in DURATIONS
    }
    line: dict[str, Any] = {
        "benchmark": "scaling",
        **vars(options),
        "driver_milliseconds": {
            name: round(1e3 * value, 4) for name, value in asdict(costs).items()
        },
        "real_efficiency": {n: round(value, 4) for n, value in real.items()},
        "model_over_real": {n: round(check[n] / real[n], 4) for n in real},
        "modelled_efficiency_by_seconds_and_workers": curves,
        "saturated_at_workers": {
            d: round(batch_of(d) * d / costs.of_call(batch_of(d)), 1) for d in DURATIONS
        },
        "saturated_at_evaluations_per_second": {
            d: round(batch_of(d) / costs.of_call(batch_of(d))) for d in DURATIONS
        },
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
