"""Population shards: who sends to whom, different searchers side by side, many objectives."""

from __future__ import annotations

import numpy as np
import pytest

import evoray
from benchmarks.parts.tables import TABLES, Entry
from evoray import Migration, searchers
from evoray.problem.problem import Problem
from evoray.records.table import from_table
from tests.synthetic import Macs, Score, TableSpace


def test_topologies_name_the_senders() -> None:
    assert Migration(topology="ring").senders(4) == [[3], [0], [1], [2]]
    assert Migration(topology="star").senders(4) == [[1, 2, 3], [0], [0], [0]]
    assert Migration(topology="full").senders(3) == [[1, 2], [0, 2], [0, 1]]
    assert Migration().senders(1) == [[]]
    assert [Migration(every=3).is_due(g, 2) for g in range(1, 7)] == [
        False,
        False,
        True,
        False,
        False,
        True,
    ]
    assert not Migration(every=0).is_due(5, 2)
    with pytest.raises(ValueError, match="did you mean 'ring'"):
        Migration(topology="rign")
    with pytest.raises(ValueError, match="must be at least 0"):
        Migration(num_migrants=-1)


@pytest.mark.parametrize("topology", ["ring", "star", "full"])
@pytest.mark.parametrize("select", ["elites", "random"])
def test_no_network_is_evaluated_twice_in_a_run_of_different_searchers(
    topology: str, select: str
) -> None:
    result = evoray.search(
        TableSpace(),
        [Score(), Macs()],
        searcher=["nsga2", "random", "constrained"],
        num_shards=3,
        evaluations=120,
        population=10,
        migration=Migration(every=2, num_migrants=3, topology=topology, select=select),
    )
    records = from_table(result.records)
    assert len(set(records.keys.tolist())) == len(records) == 120
    assert set(records.shards.tolist()) == {0, 1, 2}
    of_shard = {r.key: r.shard for r in records}
    foreign = [
        r for r in records if r.shard != 1 and any(of_shard[p] != r.shard for p in r.parents)
    ]
    assert foreign, "nothing that came from another shard was bred from"


def test_one_shard_is_the_plain_algorithm() -> None:
    problem = Problem(TableSpace(), (), (Macs(),), ("macs",))
    searcher = searchers.load("nsga2", problem, seed=4, population=10)
    plain = searcher.ask(10)
    result = evoray.search(
        TableSpace(), [Macs()], searcher="nsga2", seed=4, evaluations=10, population=10
    )
    assert [tuple(row) for row in plain.tolist()] == [r.choices for r in from_table(result.records)]


def test_asynchronous_shards_exchange_too() -> None:
    result = evoray.search(
        TableSpace(),
        [Score(), Macs()],
        searcher="steady_state",
        num_shards=2,
        evaluations=120,
        population=8,
        migration=Migration(every=1),
    )
    records = from_table(result.records)
    of_shard = {r.key: r.shard for r in records}
    assert len(of_shard) == 120
    assert any(of_shard[p] != r.shard for r in records for p in r.parents)


@pytest.mark.parametrize(
    "algorithm", ["nsga2", "nsga3", "unsga3", "agemoea", "agemoea2", "ctaea", "smsemoa", "spea2"]
)
def test_every_algorithm_of_pymoo_searches_four_objectives(algorithm: str) -> None:
    table = TABLES["stages"](0)
    rng = np.random.default_rng(0)
    table.values["noise"] = rng.random(len(table.rows))  # type: ignore[index]
    names = ("top1_error", "latency", "macs", "noise")
    result = evoray.search(
        table,  # type: ignore[arg-type]
        [Entry(table, name) for name in names],
        searcher="pymoo_algorithm",
        searcher_options={"algorithm": algorithm},
        evaluations=150,
        population=35,
    )
    assert len(result.records) == 150
    reference = [float(table.values[name].max()) for name in names]
    assert result.hypervolume(reference) > 0
    assert len(result.front()) >= 4


def test_four_targets_choose_nsga3_where_nothing_is_dear() -> None:
    space = TableSpace()
    costs = tuple(Macs(space, name=f"macs{i}") for i in range(4))
    assert (
        searchers.default(Problem(space, (), costs, tuple(c.name for c in costs)))
        == "pymoo_algorithm"
    )
    assert searchers.default(Problem(space, (), costs, ("macs0", "macs1"))) == "nsga2"
    assert searchers.default(Problem(space, (Score(),), costs, ("score", "macs0"))) == "predictor"
