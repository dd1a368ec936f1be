"""`evoray.search` and the loop beneath it, in one process."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

import evoray
from evoray import Constraint, Result
from evoray.pareto import dominance
from evoray.problem.problem import Problem, parse_constraint
from evoray.records.run_folder import RunFolder
from evoray.records.table import from_table
from evoray.results import picking
from tests.synthetic import Faulty, Macs, Score, TableSpace


def run(
    run_dir: Path | None = None,
    *,
    evaluations: int = 80,
    seed: int = 1,
    num_shards: int = 2,
    searcher: str = "nsga2",
) -> Result:
    return evoray.search(
        TableSpace(),
        [Score(), Macs()],
        constraints=[Constraint("macs", at_most=3000)],
        searcher=searcher,
        evaluations=evaluations,
        population=12,
        num_shards=num_shards,
        seed=seed,
        run_dir=run_dir,
    )


def facts(table: pa.Table) -> dict[str, tuple[object, ...]]:
    """Facts that must be equal, whoever measured them and whenever."""
    return {
        r.key: (r.choices, dict(r.values), r.shard, r.generation, r.parents, r.operator)
        for r in from_table(table)
    }


def test_the_budget_is_spent_on_distinct_networks_that_meet_the_constraint() -> None:
    result = run()
    assert len(result.records) == len(set(result.records["key"].to_pylist())) == 80
    assert max(result.records["macs"].to_pylist()) <= 3000


def test_the_same_seed_gives_the_same_records_and_another_seed_others() -> None:
    assert facts(run().records) == facts(run().records)
    assert facts(run().records) != facts(run(seed=2).records)


def test_the_front_is_what_nobody_dominates_and_holds_the_knee() -> None:
    result = run()
    front = result.front()
    losses = picking.losses(result.records, result.values)
    assert len(front) == len(dominance.front(losses))
    assert result.knee().key in front["key"].to_pylist()
    best = result.pick("best:score")
    assert picking.pick(result.records, result.values, "best:score")["score"] == max(
        result.records["score"].to_pylist()
    )
    assert result.pick(best.key) == best
    assert result.hypervolume([40.0, 3100.0]) > 0


@pytest.mark.parametrize("lost_parts", [0, 1, 3, 100])
@pytest.mark.parametrize("lost_states", [0, 1, 100])
def test_a_run_resumed_from_any_part_of_its_files_ends_like_an_uninterrupted_one(
    tmp_path: Path, lost_parts: int, lost_states: int
) -> None:
    expected = facts(run(tmp_path / "run").records)
    parts = sorted((tmp_path / "run" / "ledger").glob("part-*.parquet"))
    states = sorted((tmp_path / "run" / "shards").glob("generation-*.json"))
    for file in (
        parts[len(parts) - lost_parts if lost_parts < len(parts) else 0 :]
        + states[len(states) - min(lost_states, len(states)) :]
    ):
        file.unlink()
    assert facts(run(tmp_path / "run").records) == expected


def test_damaged_states_are_set_aside_and_the_run_replays(tmp_path: Path) -> None:
    expected = facts(run(tmp_path / "run").records)
    for file in (tmp_path / "run" / "shards").glob("generation-*.json"):
        file.write_text(file.read_text(encoding="utf-8")[:100], encoding="utf-8")
    for file in sorted((tmp_path / "run" / "ledger").glob("part-*.parquet"))[-1:]:
        file.unlink()
    assert facts(run(tmp_path / "run").records) == expected
    assert list((tmp_path / "run" / "shards").glob("damaged-generation-*.json"))


def test_another_search_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "run", evaluations=12)
    with pytest.raises(ValueError, match="holds another search"):
        run(tmp_path / "run", seed=9)


def test_more_evaluations_go_on_where_the_first_call_ended(tmp_path: Path) -> None:
    first = facts(run(tmp_path / "run", evaluations=48).records)
    second = facts(run(tmp_path / "run", evaluations=96).records)
    assert first.items() <= second.items()
    assert len(second) == 96


def test_failed_candidates_are_records_and_the_search_goes_on() -> None:
    objective = Faulty(inner=Score(), share=0.3, how="raise")
    result = evoray.search(TableSpace(), [objective, Macs()], evaluations=60, population=12)  # type: ignore[list-item]
    failed = [r for r in from_table(result.records) if r.error]
    assert failed
    assert all(
        objective.fails(r.key) and r.error.startswith("score: ZeroDivisionError: made to fail")
        for r in failed
    )
    assert not set(result.front()["key"].to_pylist()) & {r.key for r in failed}


def test_a_search_whose_candidates_all_fail_stops_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match=r"the first \d+ candidates all failed.*made to fail"):
        evoray.search(
            TableSpace(), [Faulty(inner=Score(), share=1.1), Macs()], evaluations=60, population=12
        )  # type: ignore[list-item]


def test_a_measured_constraint_that_nothing_meets_is_said() -> None:
    constraint = Constraint("score", at_least=1000.0)
    with pytest.raises(
        RuntimeError,
        match=r"dear was never measured in 20 evaluations: no candidate met score >= 1000",
    ):
        evoray.search(
            TableSpace(),
            [Score(), Score(name="dear"), Macs()],
            constraints=[constraint],
            evaluations=20,
            population=10,
        )


def test_an_analytic_constraint_that_nothing_meets_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(
        ValueError,
        match=r"satisfies macs <= 3: samples have macs from 74 to .* the nearest found has "
        r"macs = 74",
    ):
        evoray.search(
            TableSpace(),
            [Score(), Macs()],
            constraints=[Constraint("macs", at_most=3.0)],
            run_dir=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_a_narrow_window_is_found() -> None:
    window = Constraint("macs", at_least=2441.0, at_most=2443.0)
    result = evoray.search(
        TableSpace(), [Score(), Macs()], constraints=[window], evaluations=4, population=4
    )
    assert set(result.records["macs"].to_pylist()) == {2442.0}


def test_a_small_space_is_exhausted_without_complaint() -> None:
    result = evoray.search(
        TableSpace(num_options=2), [Score(), Macs()], evaluations=1000, population=8
    )
    assert len(result.records) == 2 * (2 + 4 + 8)


def test_shards_exchange_their_elites(tmp_path: Path) -> None:
    run(tmp_path / "run", evaluations=96)
    parents = {
        key
        for r in from_table(run(tmp_path / "run", evaluations=96).records)
        if r.shard == 1
        for key in r.parents
    }
    of_shard_0 = {
        r.key for r in from_table(run(tmp_path / "run", evaluations=96).records) if r.shard == 0
    }
    assert parents & of_shard_0


def test_statistics_count_every_proposal(tmp_path: Path) -> None:
    run(tmp_path / "run")
    newest = sorted(RunFolder(tmp_path / "run").shards.glob("generation-*.json"))[-1]
    statistics = json.loads(newest.read_text(encoding="utf-8"))["statistics"]
    rejected = statistics["rejected"]["macs <= 3000"]
    assert rejected > 0
    assert statistics["proposed"] == rejected + 80 + statistics["known"]


def test_constraints_are_read_from_text() -> None:
    assert parse_constraint("macs<=2e6") == Constraint("macs", at_most=2e6)
    assert parse_constraint(" accuracy >= 90.5 ") == Constraint("accuracy", at_least=90.5)
    for wrong in ("macs", "macs<2", "macs<=x", "macs<=nan", "<=3"):
        with pytest.raises(ValueError, match="cannot read the constraint"):
            parse_constraint(wrong)


@pytest.mark.parametrize(
    ("targets", "constraints", "message"),
    [
        (("scroe",), (), "target 'scroe' is neither .* did you mean 'score'"),
        (
            ("score",),
            (Constraint("mac", at_most=1.0),),
            "constraint 'mac' is neither .* did you mean 'macs'",
        ),
        ((), (), "at least one target"),
    ],
)
def test_a_problem_names_what_it_does_not_know(
    targets: tuple[str, ...], constraints: tuple[Constraint, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Problem(TableSpace(), (Score(),), (Macs(),), targets, constraints)


@pytest.mark.parametrize("wrong", [{"evaluations": 0}, {"population": 0}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"at least"):
        evoray.search(TableSpace(), [Score(), Macs()], **wrong)  # type: ignore[arg-type]
