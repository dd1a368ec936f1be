"""The ledger tells what it does not hold any more: parts that changed, are gone, or belong
elsewhere.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evoray.files.checksums import sealed_table, unsealed_table
from evoray.records.ledger import FolderLedger, read_ledger
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


def filled(folder: Path, count: int, start: int = 0) -> None:
    with FolderLedger(folder, SCHEMA) as ledger:
        for i in range(start, count):
            ledger.append([record(i)])


def keys_in(folder: Path) -> list[int]:
    table = read_ledger(folder)
    return [] if table is None else [int(key[1:]) for key in table["key"].to_pylist()]


def files_of(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def made_old(folder: Path) -> None:
    """Rewrites a ledger as a version did that knew no digests."""
    for part in folder.glob("part-*"):
        pq.write_table(pq.read_table(part).replace_schema_metadata(None), part)
    (folder / "_manifest.json").unlink()


def test_no_flipped_bit_of_a_part_changes_a_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 2)
    whole, part = read_ledger(tmp_path), tmp_path / "part-00000001.parquet"
    assert whole is not None
    content, rng = part.read_bytes(), random.Random(0)
    for bit in rng.sample(range(8 * len(content)), 300):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        part.write_bytes(damaged)
        caplog.clear()
        table = read_ledger(tmp_path)
        assert table is not None
        assert table.equals(whole.slice(0, 1))
        assert "part-00000001.parquet is damaged" in caplog.text


def test_readers_change_nothing_and_the_writer_sets_aside_and_repeats(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 3)
    part = tmp_path / "part-00000001.parquet"
    part.write_bytes(part.read_bytes()[:-9])
    before = files_of(tmp_path)
    assert keys_in(tmp_path) == [0, 2]
    assert files_of(tmp_path) == before
    filled(tmp_path, 2, start=1)
    assert sorted(keys_in(tmp_path)) == [0, 1, 2]
    (tmp_path / "_damaged-part-00000001.parquet").unlink()
    caplog.clear()
    assert sorted(keys_in(tmp_path)) == [0, 1, 2]
    assert not caplog.text


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_part_is_named_with_what_there_must_be(
    tmp_path: Path, gone: int, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 3)
    name = f"part-{gone:08d}.parquet"
    (tmp_path / name).unlink()
    assert len(keys_in(tmp_path)) == 2
    assert f"lacks {name} (it must hold 3 records, 2 are there)" in caplog.text
    caplog.clear()
    filled(tmp_path, gone + 1, start=gone)
    assert f"lacks {name}: their evaluations will be repeated" in caplog.text
    caplog.clear()
    assert sorted(keys_in(tmp_path)) == [0, 1, 2]
    assert not caplog.text, "what was repeated is not missing any more"


def test_a_ledger_without_any_part_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 2)
    for part in tmp_path.glob("part-*"):
        part.unlink()
    assert read_ledger(tmp_path) is None
    assert "must hold 2 records, 0 are there" in caplog.text


def test_a_part_in_the_place_of_another_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path / "a", 3)
    filled(tmp_path / "b", 3)
    shutil.copy(tmp_path / "a" / "part-00000000.parquet", tmp_path / "a" / "part-00000001.parquet")
    assert keys_in(tmp_path / "a") == [0, 2]
    assert "written under another name" in caplog.text
    shutil.copy(tmp_path / "b" / "part-00000001.parquet", tmp_path / "a" / "part-00000001.parquet")
    assert keys_in(tmp_path / "a") == [0, 2]
    assert "of another ledger" in caplog.text


def test_a_part_that_lost_its_digest_or_columns_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 3)
    part = tmp_path / "part-00000001.parquet"
    pq.write_table(pq.read_table(part), part)
    assert keys_in(tmp_path) == [0, 2]
    assert "it has no digest" in caplog.text
    about = unsealed_table(pa.py_buffer((tmp_path / "part-00000002.parquet").read_bytes())).about
    assert about is not None
    part.write_bytes(sealed_table(pa.table({"a": [1]}), {**about, "first": 1, "last": 1}))
    assert keys_in(tmp_path) == [0, 2]
    assert "those of the others differ" in caplog.text


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "5", '{"ledger": 5}', "\0\1", "{", '{"ledger": "a", "appends": "b"}'],
)
def test_a_damaged_manifest_is_named_and_written_anew(
    tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 2)
    manifest = tmp_path / "_manifest.json"
    manifest.write_text(content, encoding="utf-8")
    assert keys_in(tmp_path) == [0, 1]
    assert "_manifest.json is damaged" in caplog.text
    filled(tmp_path, 3, start=2)
    assert json.loads(manifest.read_text(encoding="utf-8"))["records"] == 3
    caplog.clear()
    assert keys_in(tmp_path) == [0, 1, 2]
    assert not caplog.text


def test_a_missing_manifest_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(tmp_path, 2)
    (tmp_path / "_manifest.json").unlink()
    assert keys_in(tmp_path) == [0, 1]
    assert "lacks its manifest" in caplog.text


def test_an_old_ledger_is_read_and_goes_on_with_digests(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, FAN_IN + 2)
    made_old(tmp_path)
    assert keys_in(tmp_path) == list(range(FAN_IN + 2))
    filled(tmp_path, 2 * FAN_IN + 3, start=FAN_IN + 2)
    assert keys_in(tmp_path) == list(range(2 * FAN_IN + 3))
    assert not caplog.text
    last = max(tmp_path.glob("part-*"))
    pq.write_table(pq.read_table(last), last)
    assert keys_in(tmp_path) == list(range(2 * FAN_IN + 2))
    assert "it has no digest" in caplog.text


def test_an_old_part_that_holds_no_records_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 3)
    made_old(tmp_path)
    pq.write_table(pa.table({"a": [1]}), tmp_path / "part-00000000.parquet")
    assert keys_in(tmp_path) == [1, 2]
    assert "part-00000000.parquet is damaged" in caplog.text


def test_a_rotten_part_is_not_merged_into_a_sound_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with FolderLedger(tmp_path, SCHEMA) as ledger:
        for i in range(FAN_IN - 1):
            ledger.append([record(i)])
        part = tmp_path / "part-00000007.parquet"
        content = bytearray(part.read_bytes())
        content[100] ^= 4
        part.write_bytes(content)
        ledger.append([record(FAN_IN - 1)])
    assert "could not be compacted" in caplog.text
    assert keys_in(tmp_path) == [i for i in range(FAN_IN) if i != 7]


def test_the_manifest_may_lag_behind_the_parts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    filled(tmp_path, 2)
    manifest = (tmp_path / "_manifest.json").read_bytes()
    filled(tmp_path, 5, start=2)
    (tmp_path / "_manifest.json").write_bytes(manifest)  # a crash came before it was written again
    assert keys_in(tmp_path) == list(range(5))
    filled(tmp_path, 6, start=5)
    assert keys_in(tmp_path) == list(range(6))
    assert not caplog.text


def test_pandas_reads_the_folder(tmp_path: Path) -> None:
    filled(tmp_path, FAN_IN + 3)
    frame = pd.read_parquet(tmp_path)
    assert list(frame.columns) == SCHEMA.names
    assert len(frame) == FAN_IN + 3


_FIRST_APPEND = """
import sys
from pathlib import Path
from evoray.records.ledger import FolderLedger
from evoray.records.records import Record
from evoray.records.table import schema
with FolderLedger(Path(sys.argv[1]), schema(["score"], ["score"])) as ledger:
    before = set(sys.modules)
    ledger.append([Record(key="a", choices=(1,), values={"score": 1.0}, seconds={"score": 0.1})])
    print(len(set(sys.modules) - before))
"""


def test_the_first_append_imports_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _FIRST_APPEND, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == "0"
