"""Evaluations per second through two warm Ray actors with an objective that does nothing, beside
Ray's own tools; one JSON line.

    evoray bench ray_actors [--evaluations 20000] [--repeats 2] [--sleeping 800]

evoray singly, in batches of 16 and with the automatic batch size, against `ray.util.ActorPool`,
bare calls with two in flight, and Ray Tune with `reuse_actors` (few trials: it is slow).
Goals: 2,000 singly, 30,000 in batches of 16.

Then the overhead for evaluations that sleep 10 ms, automatic batch size: the share of the
wall-clock in which an actor does not evaluate, beside ActorPool's. Goal: at most 0.05.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable

import numpy as np
import ray

from benchmarks.parts.local_ray import local_ray
from benchmarks.parts.spaces import Grid, Nothing, Sleeping
from benchmarks.parts.timing import interleaved, spread
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.evaluation.pool import PoolOptions
from evoray.problem.problem import Problem
from evoray.records.records import Record
from searchspaces.base import Architecture, architectures

TEN_MS = 0.01


class Bare:
    """An actor without any of our code, as any pool of actors would call it."""

    def measure(self, choices: bytes) -> float:
        return 0.0

    def sleep(self, seconds: float) -> float:
        """Sleeps, and returns the seconds that it really took."""
        start = time.perf_counter()
        time.sleep(seconds)
        return time.perf_counter() - start


def through_evoray(
    problem: Problem, candidates: list[Architecture], batch_size: int | None
) -> float:
    """Candidates per second once the actors are warm."""
    evaluator = RayEvaluator(problem, options=PoolOptions(workers=2, batch_size=batch_size))
    drain(evaluator, candidates[:200])
    start = time.perf_counter()
    drain(evaluator, candidates[200:])
    seconds = time.perf_counter() - start
    evaluator.close()
    return (len(candidates) - 200) / seconds


def drain(evaluator: RayEvaluator, candidates: list[Architecture]) -> list[Record]:
    evaluator.submit(candidates)
    records: list[Record] = []
    while len(records) < len(candidates):
        records += evaluator.collect(1.0)
    return records


def through_actor_pool(num: int) -> float:
    actors = [ray.remote(Bare).remote() for _ in range(2)]
    ray.get([a.measure.remote(b"") for a in actors])
    pool = ray.util.ActorPool(actors)
    start = time.perf_counter()
    list(pool.map(lambda actor, row: actor.measure.remote(row), [b"x" * 40] * num))
    seconds = time.perf_counter() - start
    for actor in actors:
        ray.kill(actor)
    return num / seconds


def overhead_of_evoray(space: Grid, candidates: list[Architecture]) -> float:
    """Share of the wall-clock in which two actors do not evaluate, once they are warm and the
    batch size has settled.
    """
    evaluator = RayEvaluator(
        Problem(space, (Sleeping(TEN_MS),), (), ("sleeping",)), options=PoolOptions(workers=2)
    )
    drain(evaluator, candidates[:200])
    start = time.perf_counter()
    slept = sum(record.seconds["sleeping"] for record in drain(evaluator, candidates[200:]))
    wall = time.perf_counter() - start
    evaluator.close()
    return 1.0 - slept / (2 * wall)


def overhead_of_actor_pool(num: int) -> float:
    actors = [ray.remote(Bare).remote() for _ in range(2)]
    ray.get([a.sleep.remote(TEN_MS) for a in actors])
    start = time.perf_counter()
    slept = sum(
        ray.util.ActorPool(actors).map_unordered(
            lambda actor, seconds: actor.sleep.remote(seconds), [TEN_MS] * num
        )
    )
    wall = time.perf_counter() - start
    for actor in actors:
        ray.kill(actor)
    return float(1.0 - slept / (2 * wall))


def through_bare_calls(num: int) -> float:
    actors = [ray.remote(Bare).remote() for _ in range(2)]
    ray.get([a.measure.remote(b"") for a in actors])
    start = time.perf_counter()
    flying = {a.measure.remote(b"x" * 40): a for a in actors for _ in range(2)}
    for _ in range(num - 4):
        done, _ = ray.wait(list(flying), num_returns=1)
        actor = flying.pop(done[0])
        ray.get(done[0])
        flying[actor.measure.remote(b"x" * 40)] = actor
    ray.get(list(flying))
    seconds = time.perf_counter() - start
    for actor in actors:
        ray.kill(actor)
    return num / seconds


def through_tune(num: int) -> float:
    from ray import tune

    class Nothing(tune.Trainable):  # type: ignore[misc]  # Ray has no types
        def step(self) -> dict[str, float]:
            return {"value": 0.0}

        def reset_config(self, new_config: object) -> bool:
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> dict[str, float]:
            # asked for at a trial's end; without it the trial fails and its actor is not used again
            return {}

        def load_checkpoint(self, checkpoint: object) -> None:
            """Nothing to load."""

    config = tune.TuneConfig(num_samples=num, reuse_actors=True, max_concurrent_trials=2)
    run = tune.RunConfig(storage_path=tempfile.mkdtemp(), verbose=0, stop={"training_iteration": 1})
    start = time.perf_counter()
    results = tune.Tuner(
        tune.with_resources(Nothing, {"cpu": 1}),
        tune_config=config,
        run_config=run,
        param_space={"x": tune.uniform(0, 1)},
    ).fit()
    seconds = time.perf_counter() - start
    assert results.num_errors == 0, "Ray Tune's trials failed"
    return num / seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench ray_actors")
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--tune-trials", type=int, default=20)
    parser.add_argument("--sleeping", type=int, default=800, help="evaluations of 10 ms")
    options = parser.parse_args()
    space = Grid()
    problem = Problem(space, (Nothing(),), (), ("nothing",))
    rng = np.random.default_rng(0)
    candidates = architectures(
        space,
        np.unique(
            rng.integers(0, 10, size=(options.evaluations + 400, 20), dtype=np.int16), axis=0
        ),
    )
    candidates = candidates[: options.evaluations]
    ways: dict[str, Callable[[], float]] = {
        "evoray_singly": lambda: through_evoray(
            problem, candidates[: max(2000, len(candidates) // 4)], 1
        ),
        "evoray_batches_of_16": lambda: through_evoray(problem, candidates, 16),
        "evoray_automatic": lambda: through_evoray(problem, candidates, None),
        "actor_pool": lambda: through_actor_pool(options.evaluations // 8),
        "bare_calls": lambda: through_bare_calls(options.evaluations // 4),
    }
    sleeping = candidates[: options.sleeping + 200]
    overheads = {
        "evoray_automatic": lambda: overhead_of_evoray(space, sleeping),
        "actor_pool": lambda: overhead_of_actor_pool(options.sleeping),
    }
    with local_ray(num_cpus=2):
        rates = interleaved(ways, options.repeats)
        rates["ray_tune_reuse_actors"] = [through_tune(options.tune_trials)]
        shares = interleaved(overheads, options.repeats)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    line = {
        "benchmark": "ray_actors",
        "evaluations_per_second": {name: round(value, 1) for name, value in medians.items()},
        "spread": {
            name: [round(min(values), 1), round(max(values), 1)] for name, values in rates.items()
        },
        "singly_over_actor_pool": round(medians["evoray_singly"] / medians["actor_pool"], 2),
        "batches_of_16_over_actor_pool": round(
            medians["evoray_batches_of_16"] / medians["actor_pool"], 2
        ),
        "overhead_of_10_ms_evaluations": {
            name: spread(values, 4) for name, values in shares.items()
        },
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
