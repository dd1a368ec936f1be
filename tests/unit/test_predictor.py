"""The predictor on tables whose exact front is known, its surrogate and its choice of what to
measure.
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.parts.tables import TABLES, Table, tabular_problem
from evoray import searchers
from evoray.pareto import dominance
from evoray.problem.problem import Constraint, Problem
from evoray.records.records import Record, Records
from evoray.searchers.base import Searcher
from evoray.searchers.parts import acquisition, gaussian_process
from evoray.variation import GeneKinds
from searchspaces.base import Choices, key_array

NAMES = ("top1_error", "latency")


def records_of(table: Table, rows: Choices, names: tuple[str, ...] = NAMES) -> Records:
    keys = key_array(table, rows)
    where = [table.index[key] for key in keys.tolist()]
    values = [{name: float(table.values[name][i]) for name in names} for i in where]
    return Records.of(
        [
            Record(key=k.decode(), choices=tuple(row.tolist()), values=v)  # the table's own values
            for k, row, v in zip(keys, rows, values, strict=True)
        ],
        len(table.genes),
    )


def evolve(table: Table, searcher: Searcher, evaluations: int, batch: int = 8) -> list[str]:
    """Keys in the order of evaluation."""
    keys: list[str] = []
    while len(keys) < evaluations:
        rows = searcher.ask(min(batch, evaluations - len(keys)))
        keys += [key.decode() for key in key_array(table, rows).tolist()]
        searcher.tell(records_of(table, rows))
    return keys


@pytest.mark.parametrize("name", TABLES)
def test_a_hundred_evaluations_find_more_than_nsga2_does(name: str) -> None:
    table = TABLES[name](11)
    problem = tabular_problem(table, NAMES)
    shares = {
        kind: table.share(
            evolve(table, searchers.load(kind, problem, seed=1, population=size), 100), NAMES
        )
        for kind, size in (("predictor", 8), ("nsga2", 16))
    }
    assert shares["predictor"] > shares["nsga2"]
    assert shares["predictor"] > 0.95


def test_costs_need_no_model_and_what_breaks_an_analytic_constraint_is_never_asked_for() -> None:
    table = TABLES["cell"](3)
    plain = tabular_problem(table, ("top1_error", "macs"), computed=("macs",))
    limit = Constraint("macs", at_most=40.0)
    problem = Problem(plain.space, plain.measured, plain.costs, plain.targets, (limit,))
    searcher = searchers.load("predictor", problem, seed=0, population=8)
    for _ in range(6):
        rows = searcher.ask(8)
        assert (table.costs(rows)["macs"] <= 40.0).all()
        searcher.tell(records_of(table, rows, ("top1_error", "macs")))


def test_a_measured_constraint_is_learnt() -> None:
    table = TABLES["stages"](3)
    plain = tabular_problem(table, NAMES)
    limit = float(np.quantile(table.values["latency"], 0.2))
    problem = Problem(
        plain.space, plain.measured, (), ("top1_error",), (Constraint("latency", at_most=limit),)
    )
    allowed = table.values["latency"] <= limit
    ranked = np.sort(table.values["top1_error"][allowed])
    places = {}
    for kind, size in (("predictor", 8), ("random", 8)):
        keys = evolve(table, searchers.load(kind, problem, seed=0, population=size), 80)
        where = np.array([table.index[key.encode()] for key in keys])
        places[kind] = int(
            np.searchsorted(ranked, table.values["top1_error"][where[allowed[where]]].min())
        )
    assert places["predictor"] < 5  # among the 1,600 networks or so that meet it
    assert places["predictor"] < places["random"]


def test_earlier_runs_teach_it() -> None:
    table = TABLES["stages"](4)
    problem = tabular_problem(table, NAMES)
    rng = np.random.default_rng(0)
    before = records_of(table, table.rows[rng.choice(len(table.rows), 200, replace=False)])
    cold, warm = (searchers.load("predictor", problem, seed=2, population=8) for _ in range(2))
    warm.tell_prior(before, 1)  # type: ignore[attr-defined]
    assert table.share(evolve(table, warm, 40), NAMES) > table.share(evolve(table, cold, 40), NAMES)


def test_the_process_interpolates_and_doubts_what_is_far() -> None:
    table = TABLES["epistasis"](0)
    rng = np.random.default_rng(1)
    rows = rng.permutation(len(table.rows))
    known, others = table.rows[rows[:200]], table.rows[rows[200:600]]
    values = table.values["latency"][rows]
    model = gaussian_process.GaussianProcess(GeneKinds.of(table.genes))
    model.fit(known, values[:200], np.zeros(200, dtype=np.int64), rng, learn=True)
    at_known, doubt_known = model.predict(known)
    at_others, doubt_others = model.predict(others)
    assert np.corrcoef(at_others, values[200:600])[0, 1] > 0.95
    assert np.abs(at_known - values[:200]).mean() < np.abs(at_others - values[200:600]).mean()
    assert doubt_known.mean() < doubt_others.mean()
    inside = np.abs(at_others - values[200:600]) < 2 * doubt_others
    assert inside.mean() > 0.85


def test_volume_gain_is_the_difference_of_hypervolumes() -> None:
    rng = np.random.default_rng(2)
    points, candidates, reference = rng.random((30, 2)), rng.random((40, 2)) * 1.3, np.ones(2)
    front = points[dominance.front(points)]
    gains = acquisition.volume_gain(front, reference, candidates)
    before = dominance.hypervolume(front, reference)
    expected = [
        dominance.hypervolume(np.vstack([front, c]), reference) - before for c in candidates
    ]
    np.testing.assert_allclose(gains, expected, atol=1e-12)


@pytest.mark.parametrize("num_targets", [1, 2, 3, 4])
def test_it_chooses_distinct_candidates_with_any_number_of_targets(num_targets: int) -> None:
    rng = np.random.default_rng(3)
    known, mean = rng.random((20, num_targets)), rng.random((100, num_targets))
    picks = acquisition.choose(
        known, mean, np.full((100, num_targets), 0.1), 12, rng, pending=mean[:2]
    )
    assert len(set(picks.tolist())) == 12
    assert mean[picks].sum(axis=1).mean() < mean.sum(axis=1).mean()
