"""Optional parts of the contracts: an object of the user's own offers one by having it, and without
it everything still works.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import searchspaces
from evoray import searchers
from evoray.searchers.base import (
    Lineage,
    is_asynchronous,
    lineage_of,
    num_duplicates_of,
    num_infeasible_of,
)
from evoray.training.samplers.parts.complexity_levels import derive_levels, levels_of
from evoray.training.samplers.performance_aware import preference_genes
from objectives.base import HasTolerance, is_measured
from searchspaces.base import HasCostChain, builds
from tests.synthetic import Macs, Score, TableSpace, table_problem


class Bare:
    """A searcher with no more than the contract."""

    def ask(self, count: int) -> Any:
        return np.zeros((0, 5), dtype=np.int16)

    def tell(self, records: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: Any) -> None: ...


class Talkative(Bare):
    asynchronous = True
    num_infeasible = 3
    num_duplicates = 4

    def lineage(self) -> Lineage:
        return Lineage.same("told", 2)


def test_a_searcher_says_of_itself_what_it_can() -> None:
    bare, talkative = Bare(), Talkative()
    assert not is_asynchronous(bare)
    assert (num_infeasible_of(bare), num_duplicates_of(bare)) == (0, 0)
    assert lineage_of(bare, 2).operators.tolist() == ["asked", "asked"]
    assert is_asynchronous(talkative)
    assert (num_infeasible_of(talkative), num_duplicates_of(talkative)) == (3, 4)
    assert lineage_of(talkative, 2).operators.tolist() == ["told", "told"]
    problem = table_problem()
    assert is_asynchronous(searchers.load("steady_state", problem))
    assert not is_asynchronous(searchers.load("nsga2", problem))


@dataclass(frozen=True)
class Hostile:
    """A searcher whose own attribute fails."""

    @property
    def asynchronous(self) -> bool:
        raise ZeroDivisionError("made to fail")


def test_an_attribute_that_fails_is_no_missing_one() -> None:
    with pytest.raises(ZeroDivisionError, match="made to fail"):
        is_asynchronous(Hostile())  # type: ignore[arg-type]  # it has no other part either


def test_objectives_and_spaces_are_known_by_what_they_have() -> None:
    assert is_measured(Score())
    assert not is_measured(Macs())
    assert not isinstance(Score(), HasTolerance)
    assert builds(TableSpace())
    assert not builds(SimpleNamespace(genes=()))
    assert levels_of(TableSpace()) == derive_levels(TableSpace())
    assert preference_genes(TableSpace()) == ([1, 2, 3], [])
    elasticvit = searchspaces.load("elasticvit")
    assert isinstance(elasticvit, HasCostChain)
    assert levels_of(elasticvit) == elasticvit.levels  # type: ignore[attr-defined]
    assert not isinstance(TableSpace(), HasCostChain)
