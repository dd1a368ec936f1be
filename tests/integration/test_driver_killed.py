"""`kill -9` of the driver at random moments: what was finished is there once, and the search ends
as if nothing had happened.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from evoray.records.ledger import num_parts, read_ledger
from evoray.records.table import from_table
from evoray.results import picking
from tests import drivers

pytestmark = pytest.mark.slow

NUM_KILLS = 20


def facts(table: pa.Table) -> dict[str, tuple[object, ...]]:
    """Facts that must be equal, whoever measured them and whenever."""
    return {
        r.key: (r.choices, dict(r.values), r.shard, r.generation, r.parents, r.operator)
        for r in from_table(table)
    }


def killed_many_times(folder: Path, log: Path, *, asynchronous: bool) -> pa.Table:
    """The ledger of a search that was killed twenty times, each time checked against the one
    before, and then ended.
    """
    drivers.start(
        folder.with_name("warm-up"), evaluations=1
    ).join()  # what all drivers are forked from imports everything once
    options = {"log": str(log), "seconds": 0.004, "evaluations": 400, "asynchronous": asynchronous}
    rng = np.random.default_rng(5)
    before: pa.Table | None = None
    num_running = 0
    for _ in range(NUM_KILLS):
        num_running += drivers.killed_after(float(rng.uniform(0.05, 0.3)), folder, **options)
        now = read_ledger(folder / "ledger")
        assert before is None or (now is not None and now.slice(0, len(before)).equals(before)), (
            "what was finished before the kill is gone or has changed"
        )
        before = now
    assert num_running >= NUM_KILLS // 2, "most searches had ended before they were killed"
    last = drivers.start(folder, **options)
    last.join(60)
    assert last.exitcode == 0
    table = read_ledger(folder / "ledger")
    assert table is not None
    keys, measured = table["key"].to_pylist(), log.read_text(encoding="utf-8").split()
    assert len(keys) == len(set(keys)) == 400
    assert set(keys) == set(measured)
    # Only what was not written yet when the process was killed is measured twice: a twentieth of a
    # second of work.
    assert len(measured) - len(set(measured)) <= NUM_KILLS * 13
    return table


def test_generational_the_records_and_the_front_are_those_of_an_uninterrupted_run(
    tmp_path: Path,
) -> None:
    table = killed_many_times(tmp_path / "run", tmp_path / "measured.txt", asynchronous=False)
    whole = drivers.search(None, evaluations=400)
    assert facts(table) == facts(whole.records)
    assert set(picking.front(table, whole.values)["key"].to_pylist()) == set(
        whole.front()["key"].to_pylist()
    )


def test_steady_state_the_ledger_replays_to_where_it_ended(tmp_path: Path) -> None:
    table = killed_many_times(tmp_path / "run", tmp_path / "measured.txt", asynchronous=True)
    for state in (tmp_path / "run" / "shards").glob("generation-*.json"):
        state.unlink()
    parts = num_parts(tmp_path / "run" / "ledger")
    log = str(
        tmp_path / "measured.txt"
    )  # the same objective as before: another one would be refused
    replayed = drivers.search(
        tmp_path / "run", log=log, seconds=0.004, evaluations=400, asynchronous=True
    )
    assert replayed.records.equals(table), (
        "the replay proposed something else than what is in the ledger"
    )
    assert num_parts(tmp_path / "run" / "ledger") == parts
