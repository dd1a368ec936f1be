"""Searches on a real local cluster: equal to local ones, and not to be stopped by dying, hanging or
lying workers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray")

from benchmarks.parts.processes import eventually, kill_worker
from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.distributed.evaluation.pool import PoolOptions
from evoray.distributed.shards import RayShards
from evoray.engine.generational import Search
from evoray.engine.schedule import Migration, Schedule
from evoray.engine.shard import LocalShards, searchers_for
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.problem.problem import Constraint, Problem
from evoray.records.ledger import FolderLedger, MemoryLedger
from evoray.records.records import Records, Status
from tests.synthetic import Faulty, Score, table_problem

pytestmark = pytest.mark.ray

SCHEDULE = Schedule(evaluations=60, population=10, migration=Migration(every=2, num_migrants=2))


def local(problem: Problem) -> Records:
    """Records of a search in this process."""
    ledger = MemoryLedger()
    searchers = searchers_for(problem, "nsga2", num_shards=2, seed=3, population=10)
    Search(
        problem,
        LocalShards(problem, searchers),
        LocalEvaluator(problem, max_attempts=2),
        ledger,
        SCHEDULE,
    ).run()
    return ledger.records


def facts(records: Records) -> dict[str, tuple[object, ...]]:
    """All that must not depend on who measured what when."""
    return {
        r.key: (
            r.choices,
            dict(r.values),
            r.violation,
            r.status,
            r.shard,
            r.generation,
            r.parents,
            r.operator,
        )
        for r in records
    }


def on_ray(
    problem: Problem,
    *,
    workers: int = 1,
    timeout: float = 60.0,
    disturb: Callable[[MemoryLedger], None] | None = None,
) -> Records:
    """Records of the same search on actors; `disturb` runs beside it and can look at the ledger."""
    ledger = MemoryLedger()
    searchers = searchers_for(problem, "nsga2", num_shards=2, seed=3, population=10)
    shards = RayShards(problem, searchers)
    evaluator = RayEvaluator(
        problem, options=PoolOptions(workers=workers, timeout_seconds=timeout, max_attempts=2)
    )
    try:
        if disturb is not None:
            threading.Thread(target=disturb, args=(ledger,), daemon=True).start()
        Search(problem, shards, evaluator, ledger, SCHEDULE).run()
    finally:
        evaluator.close()
        shards.close()
    return ledger.records


@pytest.mark.slow
def test_the_same_seed_gives_the_same_records_locally_and_with_one_or_two_workers(
    local_ray: None,
) -> None:
    problem = table_problem(Constraint("macs", at_most=4000))
    expected = facts(local(problem))
    assert len(expected) == 60
    assert facts(on_ray(problem, workers=1)) == expected
    assert facts(on_ray(problem, workers=2)) == expected


@pytest.mark.slow
def test_killed_objective_actors_and_shards_change_nothing(local_ray: None) -> None:
    problem = table_problem(Constraint("macs", at_most=4000), score=Score(seconds=0.1))
    killed: list[int] = []

    def kill_some(ledger: MemoryLedger) -> None:
        for num_records, title in (
            (5, "ray::EvaluationWorker"),
            (12, "ray::Shard"),
            (25, "ray::Shard"),
            (35, "ray::EvaluationWorker"),
        ):
            assert eventually(lambda least=num_records: len(ledger) >= least)  # type: ignore[misc]
            killed.append(kill_worker(title))

    records = on_ray(problem, workers=1, disturb=kill_some)
    assert len(set(killed)) == 4
    assert facts(records) == facts(local(table_problem(Constraint("macs", at_most=4000))))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("hang", "did not return within 1 s"),
        ("die", "its worker died"),
        ("segfault", "its worker died: The actor is dead because its worker process has died"),
        ("exhaust", "MemoryError"),
        ("nan", "score is nan"),
        ("raise", "ZeroDivisionError"),
    ],
)
def test_a_candidate_that_fails_is_a_record_with_its_reason(
    local_ray: None, how: str, reason: str
) -> None:
    problem = table_problem(score=Faulty(inner=Score(), share=0.1, how=how))
    ledger = MemoryLedger()
    limit = (
        1.0 if how == "hang" else 60.0
    )  # a machine that is busy with other things is not a fault
    evaluator = RayEvaluator(
        problem, options=PoolOptions(workers=2, timeout_seconds=limit, max_attempts=2)
    )
    schedule = Schedule(evaluations=24, population=12)
    try:
        Search(
            problem,
            LocalShards(
                problem, searchers_for(problem, "nsga2", num_shards=1, seed=3, population=12)
            ),
            evaluator,
            ledger,
            schedule,
        ).run()
    finally:
        evaluator.close()
    faulty = problem.measured[0]
    assert isinstance(faulty, Faulty)
    assert len(ledger.records) == 24
    failed = [r for r in ledger.records if r.status is Status.FAILED]
    assert failed
    assert all(
        faulty.fails(r.key) and reason in r.error and "(2 attempts)" in r.error for r in failed
    )
    assert all(not faulty.fails(r.key) for r in ledger.records if r.status is Status.OK)


@pytest.mark.slow
def test_a_broken_measured_constraint_cancels_the_dear_objective(
    local_ray: None, tmp_path: Path
) -> None:
    log = tmp_path / "measured.txt"
    cheap, dear = Score(name="cheap"), Score(name="dear", log=str(log))
    base = table_problem()
    problem = Problem(
        base.space,
        (dear, cheap),
        base.costs,
        ("dear", "macs"),
        (Constraint("cheap", at_least=75.0),),
    )  # type: ignore[arg-type]
    evaluator = RayEvaluator(problem)
    with FolderLedger(tmp_path / "ledger", problem.columns()) as ledger:
        shards = LocalShards(
            problem, searchers_for(problem, "nsga2", num_shards=1, seed=0, population=16)
        )
        Search(problem, shards, evaluator, ledger, Schedule(evaluations=32, population=16)).run()
        evaluator.close()
        cancelled = {r.key for r in ledger.records if r.status is Status.CANCELLED}
        assert cancelled
        assert all(
            "dear" not in r.values and r.violation > 0 for r in ledger.records if r.key in cancelled
        )
    assert not cancelled & set(log.read_text(encoding="utf-8").split())


@pytest.mark.slow
def test_an_objective_that_cannot_be_opened_stops_the_run_with_its_reason(local_ray: None) -> None:
    problem = table_problem(score=Unopenable())  # type: ignore[arg-type]
    evaluator = RayEvaluator(problem)
    try:
        with pytest.raises(RuntimeError, match="no such camera"):
            Search(
                problem,
                LocalShards(
                    problem, searchers_for(problem, "random", num_shards=1, seed=0, population=4)
                ),
                evaluator,
                MemoryLedger(),
                Schedule(evaluations=4, population=4),
            ).run()
    finally:
        evaluator.close()


class Unopenable(Score):
    """Fails when a worker opens it."""

    def open(self, device: object) -> None:
        raise OSError("no such camera")
