"""The ledger under attack: crashes within compaction, readers beside it, damage, and folders that
are no local ones.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import fs

from evoray.files import storage as storage_module
from evoray.files.storage import ArrowStorage, LocalStorage, open_storage
from evoray.records.ledger import FolderLedger, num_parts, read_ledger
from evoray.records.ledger_parts import FAN_IN
from evoray.records.records import Record
from evoray.records.table import schema

SCHEMA = schema(["score", "macs"], ["score"])


def record(number: int) -> Record:
    return Record(
        key=f"k{number:06d}",
        choices=(1, 2),
        values={"score": 1.5, "macs": float(number)},
        seconds={"score": 0.1},
    )


def keys_in(location: str | Path) -> list[str]:
    table = read_ledger(location)
    return [] if table is None else table["key"].to_pylist()


def expected(count: int) -> list[str]:
    return [record(i).key for i in range(count)]


def filled(location: str | Path, count: int, start: int = 0) -> None:
    with FolderLedger(location, SCHEMA) as ledger:
        for i in range(start, count):
            ledger.append([record(i)])


class Crash(BaseException):
    """The process is gone."""


def crashing_after(operations: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the merging thread do so many changes to the folder, and no more."""
    left = [operations]

    def limited(change: Callable[..., None]) -> Callable[..., None]:
        def changed(self: LocalStorage, *args: Any) -> None:  # Any: of the wrapped method
            if threading.current_thread().name.startswith("ledger"):
                if left[0] == 0:
                    raise Crash
                left[0] -= 1
            change(self, *args)

        return changed

    for method in ("write", "delete"):
        monkeypatch.setattr(LocalStorage, method, limited(getattr(LocalStorage, method)))


@pytest.mark.parametrize("operations", [0, 1, 2, FAN_IN // 2, FAN_IN, FAN_IN + 1])
def test_a_crash_at_any_step_of_compaction_loses_nothing_and_doubles_nothing(
    tmp_path: Path, operations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        crashing_after(operations, patch)
        filled(tmp_path, FAN_IN)
    assert num_parts(tmp_path) == (FAN_IN if operations == 0 else FAN_IN + 2 - operations)
    assert keys_in(tmp_path) == expected(FAN_IN)
    filled(tmp_path, FAN_IN + 3, start=FAN_IN)
    assert keys_in(tmp_path) == expected(FAN_IN + 3)
    assert num_parts(tmp_path) <= FAN_IN // 2 + 1


def test_a_damaged_merged_part_is_replaced_by_the_small_ones_that_are_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patch:
        crashing_after(1, patch)  # merged, nothing deleted
        filled(tmp_path, FAN_IN)
    merged = tmp_path / f"part-00000000-{FAN_IN - 1:08d}.parquet"
    merged.write_bytes(merged.read_bytes()[:-40])
    with caplog.at_level(logging.WARNING):
        assert keys_in(tmp_path) == expected(FAN_IN)
        filled(tmp_path, FAN_IN + 1, start=FAN_IN)
    assert f"{merged.name} is damaged" in caplog.text
    assert keys_in(tmp_path) == expected(FAN_IN + 1)


def test_appends_that_outrun_the_merging_leave_no_small_parts_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge, goes_on = FolderLedger._merge, threading.Event()

    def held_up(self: FolderLedger, *args: Any) -> None:  # Any: of the wrapped method
        assert goes_on.wait(10)
        merge(self, *args)

    monkeypatch.setattr(FolderLedger, "_merge", held_up)
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        for i in range(4 * FAN_IN):
            if i == FAN_IN + 50:
                goes_on.set()
            ledger.append([record(i)])
            if goes_on.is_set() and ledger._merging is not None:
                ledger._merging.result(60)
    assert keys_in(tmp_path) == expected(4 * FAN_IN)
    assert num_parts(tmp_path) == 4


def test_readers_beside_the_writer_see_every_record_once(tmp_path: Path) -> None:
    count = 12 * FAN_IN
    durable = [0]

    def write() -> None:
        with FolderLedger(tmp_path, SCHEMA) as ledger:
            for i in range(count):
                ledger.append([record(i)])
                durable[0] = i + 1

    writer = threading.Thread(target=write)
    writer.start()
    num_reads = 0
    while writer.is_alive():
        least = durable[0]
        seen = keys_in(tmp_path)
        assert len(seen) >= least
        assert seen == expected(len(seen))
        num_reads += 1
    writer.join()
    assert num_reads > 3
    assert keys_in(tmp_path) == expected(count)


def test_a_listing_that_missed_a_merging_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, 2 * FAN_IN + 3)
    names, torn = LocalStorage.names, [True]

    def listed(self: LocalStorage, prefix: str) -> list[str]:
        whole = names(self, prefix)
        if prefix == "part-" and torn[0]:
            torn[0] = False
            return [name for name in whole if not name.startswith("part-00000000-")]
        return whole

    monkeypatch.setattr(LocalStorage, "names", listed)
    assert keys_in(tmp_path) == expected(2 * FAN_IN + 3)


def test_a_part_that_somebody_removed_does_not_stop_a_reader(tmp_path: Path) -> None:
    filled(tmp_path, 5)
    (tmp_path / "part-00000002.parquet").unlink()
    assert keys_in(tmp_path) == [key for key in expected(5) if key != record(2).key]


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    assert read_ledger(tmp_path / "nothing") is None
    assert not (tmp_path / "nothing").exists()


@pytest.fixture(params=["memory", "file"])
def uri(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder of its own on another file system; leases beat quickly."""
    monkeypatch.setattr(storage_module, "_BEAT_SECONDS", 0.05)
    return (
        f"memory://{uuid.uuid4().hex}/run"
        if request.param == "memory"
        else f"file://{tmp_path}/a%20run"
    )


def test_a_ledger_lives_in_other_file_systems(uri: str) -> None:
    filled(uri, FAN_IN + 2)
    assert keys_in(uri) == expected(FAN_IN + 2)
    assert num_parts(uri) == 3
    with FolderLedger(uri, SCHEMA) as ledger:
        assert [r.key for r in ledger.records] == expected(FAN_IN + 2)
        with pytest.raises(RuntimeError, match="another process is writing"):
            FolderLedger(uri, SCHEMA)
        ledger.append([record(FAN_IN + 2)])
    filled(uri, FAN_IN + 4, start=FAN_IN + 3)
    assert keys_in(uri) == expected(FAN_IN + 4)


def test_a_file_uri_is_the_folder_it_names(tmp_path: Path) -> None:
    filled(f"file://{tmp_path}/a%20run", 2)
    assert keys_in(tmp_path / "a run") == expected(2)
    with pytest.raises(ValueError, match="three slashes"):
        open_storage("file://relative/run")


def test_a_lease_whose_owner_died_is_taken_over_and_the_dead_one_cannot_write_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage_module, "_BEAT_SECONDS", 0.05)
    location = f"memory://{uuid.uuid4().hex}/run"
    asleep = open_storage(location)
    assert isinstance(asleep, ArrowStorage)
    give_up = asleep.lock()
    assert asleep._held is not None
    monkeypatch.setattr(
        asleep._held._stop, "wait", lambda seconds: time.sleep(0.8)
    )  # a process that is stopped for a while
    time.sleep(0.1)
    with FolderLedger(location, SCHEMA) as ledger:
        ledger.append([record(0)])
        time.sleep(0.8)
        with pytest.raises(RuntimeError, match="another process is writing"):
            asleep.write("part-00000001.parquet", pa.py_buffer(b""))
        give_up()
        ledger.append([record(1)])
    assert keys_in(location) == expected(2)


def test_a_lease_is_created_in_one_step_where_fsspec_has_one_and_numbers_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "_BEAT_SECONDS", 0.05)
    elsewhere = ArrowStorage("there", fs.LocalFileSystem(), str(tmp_path))
    in_memory = open_storage(f"memory://{uuid.uuid4().hex}/run")
    assert isinstance(in_memory, ArrowStorage)
    assert in_memory.creates_exclusively
    assert not elsewhere.creates_exclusively
    for storage in (in_memory, elsewhere):
        for number in (1, 2):
            give_up = storage.lock()
            assert storage.names(".lease") == [f".lease-{number:08d}"]
            with pytest.raises(RuntimeError, match="another process is writing"):
                storage.lock()
            give_up()
    with pytest.raises(FileExistsError):
        in_memory.create(".lease-00000002", pa.py_buffer(b""))


def test_of_two_that_begin_at_once_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "_BEAT_SECONDS", 0.2)
    location = f"memory://{uuid.uuid4().hex}/run"
    outcomes: list[str] = []

    def begin() -> None:
        try:
            open_storage(location).lock()
            outcomes.append("writes")
        except RuntimeError:
            outcomes.append("refused")

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "refused", "refused", "writes"]


def _pandas(folder: Path) -> list[str]:
    return list(pd.read_parquet(folder)["key"])


def _polars(folder: Path) -> list[str]:
    polars = pytest.importorskip("polars")
    return list(polars.read_parquet(folder / "part-*.parquet")["key"])


def _duckdb(folder: Path) -> list[str]:
    duckdb = pytest.importorskip("duckdb")
    return [row[0] for row in duckdb.sql(f"SELECT key FROM '{folder}/part-*.parquet'").fetchall()]


@pytest.mark.parametrize("read", [_pandas, _polars, _duckdb])
def test_other_tools_read_the_folder_while_the_run_goes_on(
    tmp_path: Path, read: Callable[[Path], list[str]]
) -> None:
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        for i in range(FAN_IN + 5):
            ledger.append([record(i)])
            if i % 4 == 0 and i < FAN_IN - 1:
                assert read(tmp_path) == expected(i + 1)
        if ledger._merging is not None:
            ledger._merging.result(60)
        assert read(tmp_path) == expected(FAN_IN + 5)
        (tmp_path / "_damaged-part-00000099.parquet").write_bytes(b"not parquet")
        assert len(read(tmp_path)) == FAN_IN + 5
