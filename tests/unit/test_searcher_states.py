"""Searcher states that an earlier version wrote: run folders keep going."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evoray import searchers
from evoray.problem.problem import Constraint
from tests.synthetic import table_problem

# written by the version before the searchers had a base of their own: three generations of 12 of
# the table space with at most 4000 MACs, seed 5, and what a copy with that state asks for
WRITTEN: dict[str, dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "searcher_states.json").read_text(encoding="utf-8")
)
# their next rows come from a model's floats, which differ a little from one processor to another
MODELLED = {"predictor", "reinforce", "optuna_study"}


def test_every_searcher_has_a_state_of_an_earlier_version() -> None:
    assert set(WRITTEN) == set(searchers.names())


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_the_state_of_an_earlier_version_is_taken_up(name: str) -> None:
    problem = table_problem(Constraint("macs", at_most=4000))
    searcher = searchers.load(name, problem, seed=999, population=12)
    searcher.restore(WRITTEN[name]["state"])
    assert json.loads(json.dumps(searcher.state())) == WRITTEN[name]["state"]
    asked = searcher.ask(6)
    assert len(asked) == 6
    if name not in MODELLED:
        assert asked.tolist() == WRITTEN[name]["asked"]
