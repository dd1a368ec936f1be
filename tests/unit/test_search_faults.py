"""Searches whose folder was hurt: what is lost is measured again, and nothing else is lost with
it.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import numpy as np
import pytest

from evoray.records.ledger import FolderLedger, read_ledger
from evoray.records.records import Records
from evoray.records.table import from_table
from tests import drivers


def in_small_parts(run: Path, size: int) -> None:
    """Writes a run's ledger anew, `size` records a part, as if they had come one after the
    other.
    """
    table = read_ledger(run / "ledger")
    assert table is not None
    records = from_table(table)
    for part in (run / "ledger").glob("part-*.parquet"):
        part.unlink()
    with FolderLedger(run / "ledger", table.schema) as ledger:
        for start in range(0, len(records), size):
            ledger.append(records[start : start + size])


def measured(records: Records) -> dict[str, float]:
    return {r.key: r.values["score"] for r in records}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("lost", [0, 3, 8, 12, 15])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_part_lost_from_the_middle_is_measured_again(
    tmp_path: Path, asynchronous: bool, lost: int
) -> None:
    options = {"evaluations": 96, "asynchronous": asynchronous}
    whole = drivers.search(tmp_path / "run", **options)
    in_small_parts(tmp_path / "run", 6)
    (tmp_path / "run" / "ledger" / f"part-{lost:08d}.parquet").write_bytes(b"damaged")
    again = drivers.search(tmp_path / "run", **options)
    keys = again.records["key"].to_pylist()
    assert len(keys) == len(set(keys))
    # another order of completion: it goes another way, and what it does not propose again stays in
    # the ledger
    if asynchronous:
        assert len(keys) >= 96
        assert len(set(keys) & set(whole.records["key"].to_pylist())) >= 90
    else:
        assert measured(from_table(again.records)) == measured(from_table(whole.records))
    drivers.search(tmp_path / "run", **options)
    assert read_ledger(tmp_path / "run" / "ledger").equals(again.records), (
        "a finished search wrote something"
    )  # type: ignore[union-attr]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, asynchronous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = drivers.search(None, evaluations=96, asynchronous=asynchronous)
    now = itertools.count(2e9, -3600.0)  # every look at the clock finds it an hour earlier
    monkeypatch.setattr(time, "time", lambda: next(now))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(now) * 1e9))
    drivers.search(tmp_path / "run", evaluations=96, asynchronous=asynchronous)
    for part in sorted((tmp_path / "run" / "ledger").glob("part-*.parquet"))[-1:]:
        part.unlink()
    again = drivers.search(tmp_path / "run", evaluations=96, asynchronous=asynchronous)
    assert measured(from_table(again.records)) == measured(from_table(whole.records))
    seconds = np.array(again.records["score_seconds"].to_pylist())
    assert ((seconds >= 0) & (seconds < 60)).all()
