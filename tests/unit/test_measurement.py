"""Objectives with several values of one look at a network, and the files that they leave."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import evoray
from evoray import variation
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.successive_halving import Halving, HalvingEvaluator
from evoray.evaluation.worker import EvaluationWorker, unpacked
from evoray.problem.contracts import check_objective
from evoray.problem.problem import Constraint, Problem
from evoray.records.ledger import FolderLedger, read_ledger
from evoray.records.records import Record, Records, Status
from evoray.records.run_folder import RunFolder
from evoray.records.table import from_table, schema, to_table
from evoray.seeds import generator_for
from objectives.base import Candidate, Goal, Measurement, Value
from searchspaces.base import Architecture, architectures
from tests.synthetic import Macs, Score, Scores, TableSpace, score_of, table_problem

SPACE = TableSpace()


def candidates(count: int) -> list[Architecture]:
    kinds = variation.GeneKinds.of(SPACE.genes)
    found = architectures(SPACE, variation.sample(kinds, 4 * count, generator_for(0, "test")))
    return list({a.key: a for a in found}.values())[:count]


def measured(problem: Problem, count: int = 12, **options: Any) -> Records:
    evaluator = LocalEvaluator(problem, **options)
    evaluator.submit(candidates(count))
    records: list[Record] = []
    while len(records) < count:
        records += evaluator.collect(1.0)
    return Records.of(records)


def test_every_value_is_a_column_and_the_measurement_has_one_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    problem = table_problem(score=Scores(log=str(log)))
    assert problem.measured_names == ("score", "rest", "bump")
    assert problem.measurements == ("scores",)
    assert problem.goal("score") is Goal.MAXIMIZE
    assert problem.goal("rest") is Goal.MINIMIZE
    assert problem.unit("rest") == "%"
    records = measured(problem)
    assert len(log.read_text(encoding="utf-8").splitlines()) == len(records), "one look a candidate"
    assert list(records.values) == ["score", "rest", "bump"]
    assert list(records.seconds) == ["scores"]
    for record, architecture in zip(records, candidates(12), strict=True):
        assert record.values["score"] == score_of(architecture)
        assert record.values["rest"] == 100.0 - score_of(architecture)
    losses, _ = problem.losses(records)
    assert losses.shape == (12, 2)
    assert (losses[:, 0] == -records.values["score"]).all()


def test_the_ledger_tells_a_measurements_seconds_from_a_value_with_such_a_name(
    tmp_path: Path,
) -> None:
    odd = dataclasses.replace(Macs(), name="train_seconds")
    problem = Problem(SPACE, (Scores(),), (odd,), ("score",))
    records = measured(problem)
    records = dataclasses.replace(
        records, values={**records.values, **problem.cost_values(records.choices)}
    )
    with FolderLedger(tmp_path / "ledger", problem.columns()) as ledger:
        ledger.append(records)
    table = read_ledger(tmp_path / "ledger")
    assert table.column_names[2:7] == ["score", "rest", "bump", "train_seconds", "scores_seconds"]
    again = from_table(table)
    assert list(again.values) == ["score", "rest", "bump", "train_seconds"]
    assert list(again.seconds) == ["scores"]
    assert (again.seconds["scores"] == records.seconds["scores"]).all()
    with FolderLedger(tmp_path / "ledger", problem.columns()) as ledger:
        assert list(ledger.records.seconds) == ["scores"]


def test_a_ledger_goes_on_where_an_earlier_version_timed_each_value(tmp_path: Path) -> None:
    values = ("score", "rest", "bump", "macs")
    before = schema(values, ("score", "rest", "bump"))
    problem = table_problem(score=Scores())
    rows = list(measured(problem))
    old = [
        dataclasses.replace(row, seconds=dict.fromkeys(("score", "rest", "bump"), 0.5))
        for row in rows[:5]
    ]
    with FolderLedger(tmp_path / "ledger", before) as ledger:
        ledger.append(old)
    with FolderLedger(tmp_path / "ledger", problem.columns()) as ledger:
        assert len(ledger) == 5
        ledger.append(rows[5:])
        both = to_table(ledger.records, ledger.schema)
    table = read_ledger(tmp_path / "ledger")
    assert table.column_names == both.column_names == before.names
    assert table["key"].to_pylist() == [row.key for row in rows]
    assert table["rest"].null_count == 0
    assert table["score_seconds"].null_count == len(rows) - 5
    with pytest.raises(ValueError, match="start a new run"):
        FolderLedger(tmp_path / "ledger", table_problem().columns())


@pytest.mark.parametrize("broken", ["score", "rest", "bump"])
def test_a_value_that_is_nan_fails_the_candidate_by_its_name(broken: str) -> None:
    objective = Scores(broken=broken)
    records = list(measured(table_problem(score=objective), 30))
    failed = [record for record in records if objective.fails(record.key)]
    assert 3 < len(failed) < 20
    for record in records:
        assert (record.status is Status.FAILED) == (record in failed)
        assert record.error == (f"scores: {broken} is nan" if record in failed else "")
        assert set(record.values) == (set() if record in failed else {"score", "rest", "bump"})


@pytest.mark.parametrize(
    ("returned", "wrong"),
    [
        ({"score": 1.0, "rest": 2.0}, "must return the values score, rest, bump, got score, rest"),
        ({}, "got none"),
        ({"score": 1.0, "rest": 2.0, "bump": 3.0, "more": 4.0}, "got score, rest, bump, more"),
        ({"score": 1.0, "rest": "high", "bump": 3.0}, "could not convert"),
        ({"score": 1.0, "rest": 1j, "bump": 3.0}, "must return a real number"),
        (0.5, "must return the values score, rest, bump, got scores"),
    ],
)
def test_other_values_than_the_promised_ones_fail_the_candidate(returned: Any, wrong: str) -> None:
    class Wrong(Scores):
        def measure(self, candidate: Candidate) -> Any:
            return returned

    (record,) = measured(table_problem(score=Wrong()), 1)
    assert record.status is Status.FAILED
    assert wrong in record.error


def test_constraints_and_targets_name_single_values() -> None:
    limit = Constraint("rest", at_most=35.0)
    problem = table_problem(limit, score=Scores(), targets=("bump", "macs"))
    assert problem.measured_constraints == (limit,)
    records = measured(problem, 30)
    assert {"score", "rest", "bump"} == set(records.values)
    violated = problem.violations(records.values) > 0
    assert (violated == (records.values["rest"] > 35.0)).all()
    assert 0 < violated.sum() < 30
    with pytest.raises(ValueError, match="target 'scores' is neither"):
        table_problem(score=Scores(), targets=("scores",))


def test_an_objective_with_a_bounded_value_is_measured_before_the_others() -> None:
    late = Score(name="late")
    limit = Constraint("rest", at_most=35.0)
    problem = Problem(SPACE, (late, Scores()), (), ("late",), (limit,))
    records = measured(problem, 30)
    broken = records.values["rest"] > 35.0
    assert 0 < broken.sum() < 30
    assert (np.isnan(records.values["late"]) == broken).all()
    assert ((records.status == Status.CANCELLED.code) == broken).all()


def test_what_travels_between_machines_is_what_was_measured() -> None:
    worker = EvaluationWorker(SPACE, Scores(broken="rest", file="about.txt"), None)
    asked = candidates(20)
    rows = np.array([a.choices for a in asked], dtype="<i2").tobytes()
    for architecture, reading in zip(asked, unpacked(worker.measure_rows(rows), 3), strict=True):
        alone = worker.measure(architecture)
        assert reading.values == alone.values
        assert reading.error == alone.error
        assert dict(reading.files) == dict(alone.files)
        assert reading.seconds > 0
    plain = EvaluationWorker(SPACE, Score(), None).measure_rows(rows)
    assert isinstance(plain, bytes), "without errors and files it is numbers alone"
    assert [r.values for r in unpacked(plain, 1)] == [(score_of(a),) for a in asked]


def test_a_search_keeps_the_files_of_its_candidates(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = evoray.search(
        SPACE,
        [Scores(file="about.txt"), Macs()],
        targets=["score", "macs"],
        evaluations=12,
        population=6,
        searcher="nsga2",
        run_dir=folder,
    )
    assert [v["name"] for v in result.values if v["target"]] == ["score", "macs"]
    keys = result.records["key"].to_pylist()
    kept = {
        file.parent.parent.name: file.read_bytes()
        for file in (folder / "candidates").glob("*/scores/about.txt")
    }
    assert kept == {key: key.encode() for key in keys}
    assert (
        json.loads((folder / "job.json").read_text(encoding="utf-8"))["values"][1]["name"] == "rest"
    )
    assert "rest" in pq.read_table(folder / "front.parquet").column_names
    again = evoray.search(
        SPACE,
        [Scores(file="about.txt"), Macs()],
        targets=["score", "macs"],
        evaluations=12,
        population=6,
        searcher="nsga2",
        run_dir=folder,
    )
    assert again.records.equals(result.records)


def test_without_targets_every_value_is_one() -> None:
    result = evoray.search(SPACE, [Scores(), Macs()], evaluations=6, searcher="random")
    assert [v["name"] for v in result.values if v["target"]] == ["score", "rest", "bump", "macs"]


def test_files_are_kept_whole_under_names_that_stay_in_the_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.keep_files("k" * 900, "../odd name", {"a.json": b"{}"})
    folder.keep_files("k" * 900, "../odd name", {"a.json": b"[]"})
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.read_bytes() == b"[]"
    assert file.parts[len(tmp_path.parts)] == "candidates"
    for name in ("../a.json", "a/b", "", ".."):
        with pytest.raises(ValueError, match="is no name"):
            folder.keep_files("key", "of", {name: b""})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "candidates").mkdir(parents=True)
    (tmp_path / "run" / "candidates" / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="leads out of run folder"):
        RunFolder(tmp_path / "run").keep_files("key", "of", {"a": b""})
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("files", "wrong"),
    [
        ({"../up": b""}, "needs a name"),
        ({".hidden": b""}, "needs a name"),
        ({"": b""}, "needs a name"),
        ({"n" * 65: b""}, "needs a name"),
        ({"text": "no bytes"}, "got str"),
        ({"large": b"x" * 1_000_000}, "got 1,000,000"),
    ],
)
def test_a_file_that_is_too_large_or_oddly_named_is_refused(files: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Measurement({}, files)


def test_successive_halving_compares_all_values_of_a_part() -> None:
    class Partly(Scores):
        def measure_part(self, candidate: Candidate, share: float) -> Measurement:
            return self.measure(candidate)

    problem = table_problem(score=Partly(), targets=("score", "rest"))
    halving = HalvingEvaluator(problem, LocalEvaluator(problem), Halving(rungs=2, eta=3))
    halving.submit(candidates(9))
    records: list[Record] = []
    while len(records) < 9:
        records += halving.collect(1.0)
    ended = [record for record in records if record.status is Status.OK]
    assert len(ended) == 3
    assert min(r.values["score"] for r in ended) > 0
    with pytest.raises(ValueError, match="needs an objective that can be measured on a part"):
        HalvingEvaluator(table_problem(score=Scores()), LocalEvaluator(problem), Halving(rungs=2))


def test_an_objective_of_ones_own_is_checked_before_anything_is_measured() -> None:
    check_objective(Scores())

    class Plain(Score):
        values = "an attribute of the user's own, which means nothing here"

    check_objective(Plain())
    assert table_problem(score=Plain()).measured_names == ("score",)

    def yielding(found: object) -> Any:
        return type("Odd", (Scores,), {"yields": found})()

    good = Value("a", "", Goal.MINIMIZE)
    for found in ((), (good, good), good, "ab", ("a",)):
        with pytest.raises(ValueError, match=r"needs a tuple of objectives\.base\.Value"):
            check_objective(yielding(found))
    with pytest.raises(ValueError, match="printable text"):
        check_objective(yielding((Value(" ", "", Goal.MINIMIZE),)))
    with pytest.raises(ValueError, match="text as unit"):
        check_objective(yielding((Value("a", 3, Goal.MINIMIZE),)))  # type: ignore[arg-type]
    assert Value("a", "", "maximize").goal is Goal.MAXIMIZE  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="distinct names"):
        Problem(SPACE, (Scores(), Score()), (), ("score",))


def test_records_without_columns_for_their_values_are_refused() -> None:
    records = measured(table_problem(score=Scores()), 3)
    with pytest.raises(ValueError, match="no column for"):
        to_table(records, schema(("score",), ("scores",)))
