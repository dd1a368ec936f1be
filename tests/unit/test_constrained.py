"""Latency-constrained evolution: the window of the costs, the parents, the bins."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.parts.tables import TABLES, tabular_problem
from evoray import Constraint, searchers
from evoray.problem.feasible import FeasibleSampler
from evoray.problem.problem import Problem
from evoray.records.records import Record, Records
from evoray.seeds import generator_for
from searchspaces.base import Choices, architectures, key_array
from tests.synthetic import score_of, table_problem

STAGES = TABLES["stages"](7)


def told(problem: Problem, rows: Choices) -> Records:
    """Records of the made-up score and the costs."""
    found = []
    for architecture, macs in zip(
        architectures(problem.space, rows), problem.cost_values(rows)["macs"], strict=True
    ):
        values = {"score": score_of(architecture), "macs": float(macs)}
        found.append(
            Record(
                key=architecture.key,
                choices=architecture.choices,
                values=values,
                violation=problem.violation(values),
            )
        )
    return Records.of(found, rows.shape[1])


@pytest.mark.parametrize(
    "window", [(0.0, 4000.0), (2000.0, 2600.0), (2441.0, 2443.0), (74.0, 74.0)]
)
def test_the_window_is_drawn_from_without_end(window: tuple[float, float]) -> None:
    problem = table_problem(Constraint("macs", at_least=window[0], at_most=window[1]))
    rows = FeasibleSampler(problem).draw(500, generator_for(0, "test"))
    macs = problem.cost_values(rows)["macs"]
    assert len(rows) == 500
    assert window[0] <= macs.min() <= macs.max() <= window[1]
    assert (problem.space.repair(rows) == rows).all()


def test_a_wide_window_is_drawn_from_uniformly() -> None:
    problem = table_problem(Constraint("macs", at_most=1e9))
    plain = table_problem()
    inside, every = (
        FeasibleSampler(p).draw(20_000, generator_for(i, "test"))
        for i, p in enumerate((problem, plain))
    )
    for gene in range(inside.shape[1]):
        shares = [np.bincount(rows[:, gene], minlength=6) / len(rows) for rows in (inside, every)]
        assert np.abs(shares[0] - shares[1]).max() < 0.015


def test_an_empty_window_says_what_was_reached() -> None:
    problem = table_problem(Constraint("macs", at_most=10.0))
    with pytest.raises(
        ValueError, match=r"macs <= 10; what was drawn has macs from 74 to .*: widen the window"
    ):
        FeasibleSampler(problem).draw(8, generator_for(0, "test"))


def test_every_candidate_lies_in_the_window_and_the_best_of_the_whole_history_breed() -> None:
    problem = table_problem(Constraint("macs", at_least=1500.0, at_most=3000.0), targets=("score",))
    searcher = searchers.load("constrained", problem, seed=1, population=10, parents=5, initial=20)
    history: dict[str, float] = {}
    for generation in range(6):
        rows = searcher.ask(10)
        costs = problem.cost_values(rows)["macs"]
        assert ((costs >= 1500) & (costs <= 3000)).all()
        if generation >= 2:
            best = sorted(history, key=lambda key: -history[key])[:5]
            parents = {key.decode() for key in searcher.lineage().parents.ravel().tolist() if key}  # type: ignore[attr-defined]
            assert parents <= set(best)
        records = told(problem, rows)
        history |= {r.key: r.values["score"] for r in records}
        searcher.tell(records)


def stages_problem(*constraints: Constraint) -> Problem:
    """The table `stages`: a made-up error to minimise, MACs as its cost."""
    plain = tabular_problem(STAGES, ("top1_error", "macs"), computed=("macs",))
    return Problem(plain.space, plain.measured, plain.costs, ("top1_error",), constraints)


def evolve(
    problem: Problem, name: str, *, seed: int, evaluations: int, **options: object
) -> NDArray[np.int64]:
    """Rows of STAGES in the order of evaluation."""
    searcher = searchers.load(name, problem, seed=seed, population=16, **options)
    found = np.zeros(0, dtype=np.int64)
    while len(found) < evaluations:
        keys = key_array(STAGES, searcher.ask(16)).tolist()
        rows = np.array([STAGES.index[key] for key in keys])
        values = [{n: float(STAGES.values[n][row]) for n in ("top1_error", "macs")} for row in rows]
        choices = [tuple(STAGES.rows[row].tolist()) for row in rows]
        records = [
            Record(key=k.decode(), choices=c, values=v)
            for k, c, v in zip(keys, choices, values, strict=True)
        ]
        searcher.tell(Records.of(records))
        found = np.concatenate([found, rows])
    return found


def test_bins_serve_every_budget_in_one_run() -> None:
    small = STAGES.values["macs"] < np.quantile(STAGES.values["macs"], 0.25)
    best = {}
    for bins in (1, 8):
        runs = [
            evolve(stages_problem(), "constrained", seed=seed, evaluations=320, bins=bins)
            for seed in range(3)
        ]
        best[bins] = np.mean(
            [STAGES.values["top1_error"][rows[small[rows]]].min() for rows in runs]
        )
    assert best[8] < best[1]
    with pytest.raises(ValueError, match="did you mean 'macs'"):
        searchers.load("constrained", stages_problem(), bins=3, bin_cost="mac")


def test_it_finds_more_than_random_search_in_the_window() -> None:
    low, high = np.quantile(STAGES.values["macs"], [0.4, 0.5])
    window = Constraint("macs", at_least=float(low), at_most=float(high))
    inside = (STAGES.values["macs"] >= low) & (STAGES.values["macs"] <= high)
    best = {}
    for name in ("constrained", "random"):
        runs = [
            evolve(stages_problem(window), name, seed=seed, evaluations=160) for seed in range(3)
        ]
        best[name] = np.mean(
            [STAGES.values["top1_error"][rows[inside[rows]]].min() for rows in runs]
        )
    assert best["constrained"] < best["random"]
