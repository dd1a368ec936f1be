"""Warm start: what earlier runs found is measured first, and teaches the predictor."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import evoray
from evoray import Constraint
from evoray.problem.problem import Problem
from evoray.records.records import Records
from evoray.searchers.parts.warm_start import best_of, read_prior
from searchspaces.base import key_array
from tests.synthetic import Macs, Score, TableSpace, table_problem


def search(path: Path | None, **options: object) -> evoray.Result:
    given = {"searcher": "nsga2", "population": 8, "evaluations": 40, **options}
    return evoray.search(TableSpace(), [Score(), Macs()], run_dir=path, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("searcher", ["nsga2", "predictor", "random"])
def test_the_best_of_the_earlier_runs_are_measured_first(tmp_path: Path, searcher: str) -> None:
    front = set(search(tmp_path / "one").front()["key"].to_pylist()) | set(
        search(tmp_path / "two", seed=7).front()["key"].to_pylist()
    )
    warm = search(None, searcher=searcher, warm_start=[tmp_path / "one", tmp_path / "two"], seed=2)
    rows = [r for r in warm.records.to_pylist() if r["operator"] == "warm start"]
    assert rows == warm.records.to_pylist()[: len(rows)]
    assert len(rows) == 8
    assert {r["key"] for r in rows} <= front
    assert len(set(warm.records["key"].to_pylist())) == len(warm.records) == 40


def test_a_warm_search_resumes_as_it_was(tmp_path: Path) -> None:
    search(tmp_path / "one")
    warm = {
        "searcher": "predictor",
        "warm_start": [tmp_path / "one"],
        "seed": 3,
        "num_shards": 2,
        "evaluations": 48,
    }
    whole = search(tmp_path / "run", **warm)
    for file in sorted((tmp_path / "run" / "ledger").glob("part-*.parquet"))[-4:] + list(
        (tmp_path / "run" / "shards").iterdir()
    ):
        file.unlink()
    resumed = search(tmp_path / "run", **warm)
    pick = ["key", "score", "operator", "shard"]
    assert sorted(map(str, resumed.records.select(pick).to_pylist())) == sorted(
        map(str, whole.records.select(pick).to_pylist())
    )


def test_seeds_meet_the_analytic_constraints_of_this_search(tmp_path: Path) -> None:
    search(tmp_path / "one")
    problem = table_problem(Constraint("macs", at_most=1500.0))
    best = best_of(problem, read_prior(problem, [tmp_path / "one"]), 30)
    assert len(best)
    assert (problem.space.costs(best)["macs"] <= 1500).all()  # type: ignore[operator]
    assert len(set(key_array(problem.space, best).tolist())) == len(best)


def test_what_cannot_be_started_from_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    search(tmp_path / "one")
    plain = table_problem()
    other = Problem(TableSpace(num_options=4), plain.measured, plain.costs, plain.targets)
    with pytest.raises(ValueError, match="searched space 'table' with other genes"):
        read_prior(other, [tmp_path / "one"])
    with pytest.raises(FileNotFoundError, match="is no run folder"):
        search(None, warm_start=[tmp_path / "nothing"])
    unknown = Problem(plain.space, (Score(name="other"),), plain.costs, ("other", "macs"))  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        assert len(best_of(unknown, read_prior(unknown, [tmp_path / "one"]), 8)) == 0
    assert "has no other: it does not seed the population" in caplog.text
    assert len(best_of(plain, [Records.of([], 5)], 8)) == 0
    assert best_of(plain, [], 8).dtype == np.int16
