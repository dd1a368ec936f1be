"""The ledger: durable, readable while it grows, and no worse for a damaged part."""

from __future__ import annotations

import logging
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from evoray.files.storage import LocalStorage
from evoray.records.ledger import FolderLedger, read_ledger
from evoray.records.records import Record, Status
from evoray.records.table import from_table, schema, to_table

SCHEMA = schema(["score", "macs"], ["score"])


def record(key: str, **changes: object) -> Record:
    fields = {
        "key": key,
        "choices": (1, 2),
        "values": {"score": 1.5, "macs": 10.0},
        "seconds": {"score": 0.1},
        "parents": ("a", "b"),
    }
    return Record(**{**fields, **changes})  # type: ignore[arg-type]


def test_records_come_back_as_they_were() -> None:
    records = [
        record("x"),
        record(
            "y",
            values={"macs": 1.0},
            seconds={},
            status=Status.FAILED,
            error="score: no",
            violation=0.25,
            generation=3,
        ),
    ]
    assert list(from_table(to_table(records, SCHEMA))) == records


def test_what_was_appended_is_there_after_opening_again(tmp_path: Path) -> None:
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        ledger.append([record("x"), record("y")])
        ledger.append([record("z")])
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        assert [r.key for r in ledger.records] == ["x", "y", "z"]
        ledger.append([record("w")])
    assert len(list(tmp_path.glob("part-*.parquet"))) == 3


def test_pandas_reads_it_while_the_run_goes_on(tmp_path: Path) -> None:
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        ledger.append([record("x")])
        frame = pd.concat(pd.read_parquet(part) for part in sorted(tmp_path.glob("part-*.parquet")))
        assert frame.loc[0, "score_seconds"] == 0.1


@pytest.mark.parametrize("damage", [b"", b"PAR1 not parquet at all PAR1", None])
def test_a_damaged_part_is_named_and_set_aside_and_the_rest_is_used(
    tmp_path: Path, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        ledger.append([record("x")])
        ledger.append([record("y")])
    part = tmp_path / "part-00000000.parquet"
    part.write_bytes(part.read_bytes()[:-40] if damage is None else damage)
    with caplog.at_level(logging.WARNING), FolderLedger(tmp_path, SCHEMA) as ledger:
        assert [r.key for r in ledger.records] == ["y"]
        ledger.append([record("x")])
    assert "part-00000000.parquet is damaged" in caplog.text
    assert (tmp_path / "_damaged-part-00000000.parquet").is_file()
    table = read_ledger(tmp_path)
    assert table is not None
    assert sorted(table["key"].to_pylist()) == ["x", "y"]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with (
        FolderLedger(tmp_path, SCHEMA),
        pytest.raises(RuntimeError, match="another process is writing"),
    ):
        FolderLedger(tmp_path, SCHEMA)


def test_a_part_that_cannot_be_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with FolderLedger(tmp_path, SCHEMA) as ledger:
        ledger.append([record("x")])
        monkeypatch.setattr(LocalStorage, "write", full)
        with pytest.raises(OSError, match="No space left"):
            ledger.append([record("y")])
        assert [r.key for r in ledger.records] == ["x"]
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        ".lock",
        "_manifest.json",
        "part-00000000.parquet",
    ]


def test_other_columns_are_refused(tmp_path: Path) -> None:
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        ledger.append([record("x")])
    with pytest.raises(ValueError, match="start a new run"):
        FolderLedger(tmp_path, schema(["other"], []))


def test_names_that_clash_with_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="called 'key', which is a column of the ledger"):
        schema(["key"], [])
    with pytest.raises(ValueError, match="need distinct names"):
        schema(["score", "score"], [])


def test_a_value_without_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="no column for"):
        to_table([record("x", values={"other": 1.0})], SCHEMA)
    assert isinstance(SCHEMA, pa.Schema)
