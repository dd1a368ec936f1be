"""The searcher contract, for every file of evoray/searchers/."""

from __future__ import annotations

import json

import numpy as np
import pytest

from evoray import searchers
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.problem.problem import Constraint, Problem
from evoray.records.records import Record
from evoray.searchers.base import Searcher, TracesCandidates
from searchspaces.base import Choices, architectures, canonical_keys, key_array
from tests.synthetic import TableSpace, table_problem

NAMES = searchers.names()


def measured(problem: Problem, choices: Choices) -> list[Record]:
    """Records of these rows, costs and violations included."""
    import dataclasses

    evaluator = LocalEvaluator(problem)
    evaluator.submit(architectures(problem.space, choices))
    records: list[Record] = []
    while len(records) < len(choices):
        records += evaluator.collect(1.0)
    full = []
    for record in records:
        costs = {
            n: float(v[0])
            for n, v in problem.cost_values(np.array([record.choices], dtype=np.int16)).items()
        }
        values = {**record.values, **costs}
        full.append(dataclasses.replace(record, values=values, violation=problem.violation(values)))
    return full


def fresh(name: str, problem: Problem, seed: int = 5) -> Searcher:
    return searchers.load(name, problem, seed=seed, population=12)


@pytest.mark.parametrize("name", NAMES)
def test_asks_for_new_canonical_rows_only(name: str) -> None:
    problem = table_problem()
    searcher = fresh(name, problem)
    seen: set[str] = set()
    for _ in range(6):
        choices = searcher.ask(12)
        assert choices.shape == (12, len(problem.space.genes))
        assert choices.dtype == np.int16
        assert (problem.space.repair(choices) == choices).all()
        keys = canonical_keys(problem.space, choices)
        assert len(set(keys)) == 12
        assert not seen & set(keys)
        seen |= set(keys)
        searcher.tell(measured(problem, choices))


@pytest.mark.parametrize("name", NAMES)
def test_a_restored_searcher_asks_what_the_original_asks(name: str) -> None:
    problem = table_problem(Constraint("macs", at_most=4000))
    searcher = fresh(name, problem)
    for _ in range(3):
        searcher.tell(measured(problem, searcher.ask(12)))
    state = json.loads(json.dumps(searcher.state(), allow_nan=False))
    copy = fresh(name, problem, seed=999)
    copy.restore(state)
    for _ in range(3):
        asked = searcher.ask(12)
        assert (copy.ask(12) == asked).all()
        records = measured(problem, asked)
        searcher.tell(records)
        copy.tell(records)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_records_does_not_matter(name: str) -> None:
    problem = table_problem()
    one, other = fresh(name, problem), fresh(name, problem)
    for _ in range(3):
        asked = one.ask(12)
        assert (other.ask(12) == asked).all()
        records = measured(problem, asked)
        one.tell(records)
        other.tell(records[::-1])
    assert (one.ask(12) == other.ask(12)).all()


@pytest.mark.parametrize("name", NAMES)
def test_seeds_decide(name: str) -> None:
    problem = table_problem()
    first, same = fresh(name, problem).ask(200), fresh(name, problem).ask(200)
    assert (first == same).all()
    if len(first) < 250:  # coarse_to_fine starts on a grid that no seed changes; its tail is drawn
        other = fresh(name, problem, seed=6).ask(200)
        assert other.shape != first.shape or (other != first).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_space_that_is_asked_empty_ends_quietly(name: str) -> None:
    problem = table_problem()
    whole = Problem(TableSpace(num_options=2), problem.measured, problem.costs, problem.targets)
    searcher = fresh(name, whole)
    total = 0
    for _ in range(20):
        choices = searcher.ask(12)
        total += len(choices)
        searcher.tell(measured(whole, choices))
    distinct = len(
        set(
            canonical_keys(
                whole.space,
                whole.space.repair(
                    np.stack(
                        np.meshgrid(*[np.arange(len(g.options)) for g in whole.space.genes]), -1
                    )
                    .reshape(-1, 5)
                    .astype(np.int16)
                ),
            )
        )
    )
    assert total <= distinct
    assert total >= 0.8 * distinct


@pytest.mark.parametrize("name", NAMES)
def test_lineage_names_known_parents(name: str) -> None:
    problem = table_problem()
    searcher = fresh(name, problem)
    assert isinstance(searcher, TracesCandidates)
    known: set[bytes] = set()
    for _ in range(5):
        choices = searcher.ask(12)
        lineage = searcher.lineage()
        assert len(lineage) == len(choices)
        assert {key for key in lineage.parents.ravel().tolist() if key} <= known
        known |= set(key_array(problem.space, choices).tolist())
        searcher.tell(measured(problem, choices))
    assert searcher.num_duplicates >= 0


def test_an_unknown_searcher_or_option_is_named_with_the_nearest() -> None:
    problem = table_problem()
    with pytest.raises(ValueError, match="did you mean 'nsga2'"):
        searchers.load("nsga", problem)
    with pytest.raises(ValueError, match="did you mean 'mutation_probability'"):
        searchers.load("nsga2", problem, mutation_probabilty=0.1)
