"""Successive halving: little data first, all of it for the best of a generation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import pytest
import torch

import evoray
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.successive_halving import Halving, HalvingEvaluator
from evoray.records.records import Record, Status
from evoray.records.table import from_table
from objectives.base import Candidate
from searchspaces.base import architectures
from tests.synthetic import Macs, Score, TableSpace, score_of, table_problem


@dataclass(frozen=True)
class PartScore(Score):
    """Score that can be estimated: the less data, the farther off. Writes "key share" lines."""

    def measure(self, candidate: Candidate) -> float:
        return self.measure_part(candidate, 1.0)

    def measure_part(self, candidate: Candidate, share: float) -> float:
        if self.log:
            with open(self.log, "a", encoding="utf-8") as stream:
                stream.write(f"{candidate.architecture.key} {share:.4f}\n")
        return score_of(candidate.architecture) - 3.0 * (1.0 - share)


def shares_of(log: Path) -> dict[str, list[float]]:
    shares: dict[str, list[float]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        key, share = line.split()
        shares.setdefault(key, []).append(float(share))
    return shares


def test_shares_grow_to_all_of_the_data() -> None:
    assert Halving(rungs=3, eta=3).shares == pytest.approx([1 / 9, 1 / 3, 1.0])
    assert Halving(rungs=1).shares == [1.0]
    with pytest.raises(ValueError, match="at least 1 rung"):
        Halving(rungs=0)


def test_a_third_climbs_each_rung_and_the_best_are_measured_on_everything(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    problem = table_problem(score=PartScore(log=str(log)), targets=("score",))
    rows = problem.space.repair(torch.randint(0, 3, (200, 5)).numpy().astype("int16"))
    candidates = list({a.key: a for a in architectures(problem.space, rows)}.values())[:18]
    evaluator = HalvingEvaluator(problem, LocalEvaluator(problem), Halving(rungs=3, eta=3))
    evaluator.submit(candidates)
    records: list[Record] = []
    while len(records) < 18:
        records += evaluator.collect(1.0)
    assert [r.key for r in records] == [a.key for a in candidates]
    complete = [r for r in records if r.status is Status.OK]
    stopped = [r for r in records if r.status is Status.STOPPED]
    assert len(complete) == 2
    assert len(stopped) == 16
    assert not any(r.values for r in stopped)
    best = sorted((score_of(a) for a in candidates), reverse=True)[:2]
    assert sorted((r.values["score"] for r in complete), reverse=True) == pytest.approx(best)
    lengths = sorted(len(s) for s in shares_of(log).values())
    assert lengths == [1] * 12 + [2] * 4 + [3] * 2


def test_a_halved_search_is_the_same_after_a_resume_and_costs_less(tmp_path: Path) -> None:
    def search(name: str, evaluations: int, log: str) -> evoray.Result:
        objectives = [PartScore(log=str(tmp_path / log)), Macs()]
        options = {"searcher": "nsga2", "population": 12, "seed": 3, "halving": Halving(rungs=2)}
        return evoray.search(
            TableSpace(), objectives, evaluations=evaluations, run_dir=tmp_path / name, **options
        )  # type: ignore[arg-type]

    whole = search("one", 96, "a.txt")
    search("two", 36, "b.txt")
    resumed = search("two", 96, "b.txt")
    pick = ["key", "score", "status", "generation"]
    assert resumed.records.select(pick).equals(whole.records.select(pick))
    stopped = whole.records.filter(pc.equal(whole.records["status"], "stopped"))
    assert len(stopped) > 0
    assert set(stopped["score"].to_pylist()) == {None}
    used = sum(sum(s) for s in shares_of(tmp_path / "a.txt").values())
    assert used < 0.75 * 96
    assert all(r.status is Status.OK for r in from_table(whole.front()))


def test_what_cannot_be_measured_in_part_is_refused() -> None:
    problem = table_problem(targets=("score",))
    with pytest.raises(ValueError, match="can be measured on a part of its data"):
        HalvingEvaluator(problem, LocalEvaluator(problem), Halving(rungs=2))
    with pytest.raises(ValueError, match="asynchronous search has none"):
        evoray.search(
            TableSpace(), [PartScore(), Macs()], searcher="steady_state", halving=Halving()
        )
