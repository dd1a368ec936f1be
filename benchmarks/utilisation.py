"""Utilisation of eight workers when evaluation times differ much (lognormal, sigma 1), with and
without barriers; one JSON line.

    evoray bench utilisation [--evaluations 2000] [--seconds 0.03] [--repeats 1]

Eight Ray actors that sleep, so that two cores suffice. Utilisation is the time slept over eight
times the wall-clock of the search, from the first candidate to the last. Beside it:
ray.util.ActorPool with as many tasks of the same times and no search at all. Goal: at least 0.95
without barriers.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import ray

from benchmarks.parts.local_ray import local_ray
from benchmarks.parts.spaces import Grid, Restless
from benchmarks.parts.timing import interleaved, seconds, spread
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.evaluation.pool import PoolOptions
from evoray.engine.generational import Search
from evoray.engine.schedule import Schedule
from evoray.engine.shard import LocalShards, searchers_for
from evoray.engine.steady_state import SteadySearch
from evoray.evaluation.evaluator import Evaluator
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from searchspaces.base import architectures

WORKERS = 8


def warm(problem: Problem, workers: int = WORKERS) -> RayEvaluator:
    """An evaluator whose actors have all opened and measured."""
    evaluator = RayEvaluator(problem, options=PoolOptions(workers=workers))
    rng, seen = np.random.default_rng(99), set[str]()
    while len(seen) < workers:
        left = 2 * workers
        evaluator.submit(
            architectures(
                problem.space, rng.integers(0, 10, (left, len(problem.space.genes)), dtype=np.int16)
            )
        )
        while left:
            ended = evaluator.collect(1.0)
            left -= len(ended)
            seen |= {record.worker for record in ended}
    return evaluator


def utilisation(
    problem: Problem,
    evaluator: Evaluator,
    options: argparse.Namespace,
    seed: int,
    *,
    barriers: bool,
) -> float:
    """Runs one search and returns its utilisation: time slept over workers times wall-clock."""
    searcher = "nsga2" if barriers else "steady_state"
    shards = LocalShards(
        problem,
        searchers_for(problem, searcher, num_shards=1, seed=seed, population=options.population),
    )
    ledger = MemoryLedger()
    schedule = Schedule(evaluations=options.evaluations, population=options.population)
    search = (Search if barriers else SteadySearch)(problem, shards, evaluator, ledger, schedule)
    wall = seconds(search.run)
    return float(ledger.records.seconds["restless"].sum()) / (WORKERS * wall)


class Sleeper:
    """An actor for ray.util.ActorPool that only sleeps."""

    def sleep(self, duration: float) -> float:
        start = time.perf_counter()
        time.sleep(duration)
        return time.perf_counter() - start


def of_actor_pool(durations: list[float]) -> float:
    actors = [ray.remote(Sleeper).options(num_cpus=0.01).remote() for _ in range(WORKERS)]
    ray.get([a.sleep.remote(0.0) for a in actors])
    start = time.perf_counter()
    slept = sum(
        ray.util.ActorPool(actors).map_unordered(
            lambda actor, duration: actor.sleep.remote(duration), durations
        )
    )
    wall = time.perf_counter() - start
    for actor in actors:
        ray.kill(actor)
    return float(slept) / (WORKERS * wall)


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench utilisation")
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument(
        "--seconds", type=float, default=0.03, help="the median; the mean is 1.65 times as much"
    )
    parser.add_argument("--population", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=1)
    options = parser.parse_args()
    space, sleeper = Grid(), Restless(options.seconds, sigma=1.0)
    problem = Problem(space, (sleeper,), (), ("restless",))
    durations = (
        options.seconds * np.exp(np.random.default_rng(0).standard_normal(options.evaluations))
    ).tolist()
    with local_ray(num_cpus=2):
        evaluator = warm(problem)
        seeds = iter(range(10**6))
        ways = {
            "steady_state": lambda: utilisation(
                problem, evaluator, options, next(seeds), barriers=False
            ),
            "generational": lambda: utilisation(
                problem, evaluator, options, next(seeds), barriers=True
            ),
            "actor_pool": lambda: of_actor_pool(durations),
        }
        found = interleaved(ways, options.repeats)
        evaluator.close()
    line: dict[str, Any] = {
        "benchmark": "utilisation",
        **vars(options),
        "workers": WORKERS,
        "goal": {"steady_state": 0.95},
    }
    line["utilisation"] = {name: spread(values, 4) for name, values in found.items()}
    print(json.dumps(line))


if __name__ == "__main__":
    main()
