"""A pool of objective actors on a real local cluster: batches, back-pressure, stealing, release,
and actors that have to go.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("ray")

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from benchmarks.parts.processes import eventually, lives, workers
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.evaluation.pool import Pool, PoolOptions
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.worker import EvaluationWorker
from evoray.problem.problem import Constraint, Problem
from evoray.records.records import Record, Status
from evoray.records.run_folder import RunFolder
from objectives.base import Candidate, Needs
from searchspaces.base import Architecture, architectures
from tests.synthetic import (
    DecodedSpace,
    Detection,
    Faulty,
    Leaky,
    Score,
    Scores,
    Whole,
    decoded_candidates,
    score_of,
    table_problem,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(240)]


def candidates(count: int) -> list[Architecture]:
    """Distinct networks of the made-up space."""
    space = table_problem().space
    choices = space.repair(np.random.default_rng(0).integers(0, 6, (4 * count, 5)).astype(np.int16))
    return architectures(space, np.unique(choices, axis=0))[:count]


@contextmanager
def evaluator_of(problem: Problem, **options: object) -> Iterator[RayEvaluator]:
    evaluator = RayEvaluator(problem, options=PoolOptions(**options))  # type: ignore[arg-type]
    try:
        yield evaluator
    finally:
        evaluator.close()


def collected(
    evaluator: RayEvaluator, count: int, *, patience_seconds: float = 60.0
) -> list[Record]:
    """Collects so many records, in the order in which they come."""
    records: list[Record] = []
    until = time.monotonic() + patience_seconds
    while len(records) < count:
        assert time.monotonic() < until, f"only {len(records)} of {count} records came"
        records += evaluator.collect(1.0)
    return records


def warm(evaluator: RayEvaluator) -> list[Architecture]:
    """Waits until an actor has measured; what is left to submit."""
    first, *rest = candidates(400)
    evaluator.submit([first])
    collected(evaluator, 1)
    return rest


def test_a_call_that_ended_in_time_counts_however_long_the_driver_was_busy(local_ray: None) -> None:
    with evaluator_of(table_problem(), timeout_seconds=0.5, max_attempts=1) as evaluator:
        rest = warm(evaluator)
        evaluator.submit(rest[:1])
        time.sleep(1.5)  # such as a searcher that thinks
        (record,) = collected(evaluator, 1)
        assert record.status is Status.OK, record.error


def test_several_values_and_files_come_back_as_they_were_measured(
    local_ray: None, tmp_path: Path
) -> None:
    objective, some = Scores(broken="rest", file="about.txt"), candidates(60)
    evaluator = RayEvaluator(
        table_problem(score=objective),
        options=PoolOptions(workers=2, max_attempts=2),
        keep_files=RunFolder(tmp_path).keep_files,
    )
    try:
        evaluator.submit(some)
        records = {r.key: r for r in collected(evaluator, 60)}
    finally:
        evaluator.close()
    for architecture in some:
        record, file = records[architecture.key], tmp_path / "candidates" / architecture.key
        if objective.fails(architecture.key):
            assert record.error == "scores: rest is nan (2 attempts)"
            assert not file.exists()
        else:
            score = score_of(architecture)
            assert (record.values["score"], record.values["rest"]) == (score, 100.0 - score)
            assert list(record.seconds) == ["scores"]
            assert (file / "scores" / "about.txt").read_bytes() == architecture.key.encode()


def test_candidates_of_one_network_cost_one_forward_pass(local_ray: None, tmp_path: Path) -> None:
    log, asked = tmp_path / "log", decoded_candidates(4, 12)
    objective = Detection(log=str(log), broken=True)
    problem = Problem(DecodedSpace(), (objective,), (), ("precision",))
    with evaluator_of(problem, workers=2, max_attempts=1) as evaluator:
        evaluator.submit(asked)
        found = {r.key: r for r in collected(evaluator, 48)}
    passes = log.read_text(encoding="utf-8").splitlines()
    local = LocalEvaluator(dataclasses.replace(problem, measured=(Whole(objective),)))
    local.submit(asked)
    failed = 0
    while records := local.collect(1.0):
        for record in records:
            other = found[record.key]
            assert (other.values, other.error) == (record.values, record.error)
            failed += bool(record.error)
    assert 0 < failed < 48
    assert len(passes) == len(set(passes)) + failed - failed // 12, "a failed one is tried anew"


def test_collecting_without_waiting_takes_what_has_ended(local_ray: None) -> None:
    with evaluator_of(table_problem()) as evaluator:
        rest = warm(evaluator)
        evaluator.submit(rest[:1])
        assert eventually(lambda: bool(evaluator.collect(0.0)), patience_seconds=10)


def test_a_second_attempt_is_not_put_off_by_new_candidates(local_ray: None) -> None:
    problem = table_problem(score=Faulty(inner=Score(seconds=0.002), share=0.1, how="raise"))
    faulty = problem.measured[0]
    assert isinstance(faulty, Faulty)
    with evaluator_of(problem, batch_size=1, max_attempts=2) as evaluator:
        rest = warm(evaluator)
        bad = next(a for a in rest if faulty.fails(a.key))
        good = [a for a in rest if not faulty.fails(a.key)][:200]
        evaluator.submit([bad, *good])
        order = [r.key for r in collected(evaluator, 201)]
    assert order.index(bad.key) < 20


def test_an_objective_that_leaks_gets_a_new_actor_and_every_candidate_its_value(
    local_ray: None,
) -> None:
    with evaluator_of(table_problem(score=Leaky()), max_attempts=2) as evaluator:
        some = candidates(14)
        evaluator.submit(some)
        records = collected(evaluator, 14)
    assert {r.key: r.values.get("score") for r in records} == {a.key: score_of(a) for a in some}, [
        r.error for r in records if r.error
    ]
    assert len({worker for r in records for worker in r.worker.split()}) > 1, "nothing leaked"


def test_a_time_out_ends_the_process_that_measures(local_ray: None, tmp_path: Path) -> None:
    with evaluator_of(
        table_problem(score=Hanging(log=str(tmp_path / "pid"))), timeout_seconds=0.5, max_attempts=1
    ) as evaluator:
        evaluator.submit(candidates(1))
        (record,) = collected(evaluator, 1)
        pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
        assert record.status is Status.FAILED
        assert "did not return within 0.5 s" in record.error
        assert eventually(lambda: not lives(pid), patience_seconds=10)


def test_calls_in_flight_are_few_and_batches_grow_when_measuring_is_quick(local_ray: None) -> None:
    for seconds, largest in ((0.0, range(8, 1025)), (0.15, range(1, 2))):
        with evaluator_of(table_problem(score=Score(seconds=seconds)), workers=2) as evaluator:
            rest = warm(evaluator)
            count = 300 if seconds == 0.0 else 12
            (pool,) = evaluator._pools.values()
            batches: dict[object, int] = {}
            evaluator.submit(rest[:count])
            ended = 0
            while ended < count:
                assert len(pool.refs) <= 2 * 2, "more calls than two an actor"
                batches.update(
                    {ref: len(call.attempts) for ref, call in pool._actors.calls.items()}
                )
                ended += len(evaluator.collect(1.0))
        assert max(batches.values()) in largest, batches


def test_what_waits_behind_a_long_measurement_is_given_to_another_actor(local_ray: None) -> None:
    some = candidates(60)
    long = some[20]
    with evaluator_of(
        table_problem(score=Long(key=long.key, seconds=0.01)), workers=2, batch_size=4
    ) as evaluator:
        evaluator.submit(some)
        order = [r.key for r in collected(evaluator, 60)]
    mates = order[order.index(long.key) :]
    assert len(mates) <= 4, "more waited for the long one than were measured in the same call"


def test_idle_actors_are_released_and_come_back(local_ray: None) -> None:
    some = candidates(200)
    best = max(some, key=score_of)
    limit = Constraint("cheap", at_least=score_of(best))
    base = table_problem()
    measured = (Score(name="cheap", seconds=0.05), Score(name="dear"))
    problem = Problem(base.space, measured, base.costs, ("dear", "macs"), (limit,))
    with evaluator_of(problem, batch_size=1, idle_seconds=0.3) as evaluator:
        assert eventually(lambda: len(workers("ray::EvaluationWorker")) == 2, patience_seconds=60)
        time.sleep(1.0)
        evaluator.submit([a for a in some if a is not best][:30])
        records = collected(evaluator, 30)
        assert eventually(lambda: len(workers("ray::EvaluationWorker")) == 1, patience_seconds=5), (
            "the dear objective's actor is still there"
        )
        evaluator.submit([best])
        (record,) = collected(evaluator, 1)
    assert {r.status for r in records} == {Status.CANCELLED}
    assert record.values["dear"] == score_of(best)


def test_actors_beyond_the_cluster_are_a_demand_that_an_autoscaler_sees(local_ray: None) -> None:
    from ray._raylet import GcsClient
    from ray.autoscaler.v2.sdk import get_cluster_resource_state

    client = GcsClient(address=ray.get_runtime_context().gcs_address)

    def demand() -> int:
        state = get_cluster_resource_state(client)
        return sum(
            request.count
            for request in state.pending_resource_requests
            if request.request.resources_bundle.get("CPU") == 1.0
        )

    with evaluator_of(table_problem(), workers=5) as evaluator:
        assert eventually(lambda: demand() == 3, patience_seconds=60), f"a demand of {demand()}"
        evaluator.submit(candidates(50))
        assert len(collected(evaluator, 50)) == 50
    assert eventually(lambda: demand() == 0, patience_seconds=60)


def test_more_objectives_than_a_fixed_machine_has_cores_share_it(local_ray: None) -> None:
    scores = tuple(
        Score(name=name) for name in ("score", "second", "third")
    )  # each wants a core, and there are two
    table = table_problem()
    problem = Problem(table.space, scores, table.costs, ("score", "macs"))
    with evaluator_of(problem, is_fixed=True) as evaluator:
        evaluator.submit(candidates(20))
        records = collected(evaluator, 20)
    assert all(set(record.values) >= {"score", "second", "third"} for record in records)


def test_actors_that_no_node_can_hold_are_an_error_and_no_endless_wait(local_ray: None) -> None:
    def start() -> object:
        nowhere = NodeAffinitySchedulingStrategy("ab" * 28, soft=False)
        return (
            ray.remote(EvaluationWorker)
            .options(scheduling_strategy=nowhere)
            .remote(table_problem().space, Score(), None)
        )

    pool = Pool("score", 1, 1, Needs(), start, PoolOptions())

    def wait() -> None:
        for _ in range(20):
            ready, _ = ray.wait(pool.refs, timeout=1.0)
            for ref in ready:
                assert not list(pool.take(ref))

    try:
        with pytest.raises(RuntimeError, match="'score' cannot be opened on a worker"):
            wait()
    finally:
        pool.close()


@dataclass(frozen=True)
class Hanging(Score):
    """Says who it is and never returns."""

    def open(self, device: torch.device) -> None:
        Path(self.log).write_text(str(os.getpid()), encoding="utf-8")

    def measure(self, candidate: Candidate) -> float:
        time.sleep(3600)
        return 0.0


@dataclass(frozen=True)
class Long(Score):
    """One candidate takes three seconds."""

    key: str = ""

    def measure(self, candidate: Candidate) -> float:
        time.sleep(3.0 if candidate.architecture.key == self.key else 0.0)
        return super().measure(candidate)
