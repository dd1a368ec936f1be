"""Records as tables: the same back, however many there are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from evoray.records import records as records_module
from evoray.records.records import Records, from_table, schema, texts, to_table

SCHEMA = schema(["score"], ["score"])


def many(count: int, characters: int, parents: int = 2) -> Records:
    """Records with long keys and as many parents as their number says."""
    keys = np.array([f"{i:0{characters}d}".encode() for i in range(count)], dtype=np.bytes_)
    family = np.stack([np.roll(keys, 1 + p) for p in range(parents)], axis=1)
    family[np.arange(count)[:, None] % (parents + 1) <= np.arange(parents)] = b""
    rng = np.random.default_rng(0)
    return Records(
        keys=keys,
        choices=rng.integers(0, 4, (count, 3), dtype=np.int16),
        values={"score": rng.random(count)},
        seconds={"score": rng.random(count)},
        violations=rng.random(count),
        status=rng.integers(0, 3, count, dtype=np.int8),
        errors=texts([""] * count),
        attempts=np.ones(count, dtype=np.int32),
        shards=np.zeros(count, dtype=np.int32),
        generations=np.arange(count, dtype=np.int32),
        parents=family,
        operators=texts(["sample"] * count),
        workers=texts(["host"] * count),
        digests=texts([""] * count),
    )


def assert_same(found: Records, wanted: Records) -> None:
    for name in (
        "keys",
        "choices",
        "violations",
        "status",
        "generations",
        "parents",
        "errors",
        "workers",
    ):
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
    assert np.array_equal(found.values["score"], wanted.values["score"])


@pytest.mark.parametrize(("count", "characters"), [(3, 5), (1000, 5), (30_000, 700), (140_000, 6)])
def test_any_number_of_records_of_any_length_comes_back(count: int, characters: int) -> None:
    records = many(count, characters)
    assert_same(from_table(to_table(records, SCHEMA)), records)


def test_no_records_come_back_as_none() -> None:
    assert len(from_table(to_table([], SCHEMA))) == 0


def test_lists_are_the_same_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = to_table(many(100, 9), SCHEMA)
    monkeypatch.setattr(records_module, "_LISTS_A_PIECE", 7)
    assert to_table(many(100, 9), SCHEMA).equals(whole)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("status", pa.array(["ok", "well"]), "status must be one of"),
        ("choices", pa.array([[1, 2, 3], [1, 2]], type=pa.list_(pa.int16())), "as many choices"),
    ],
)
def test_a_table_that_no_search_wrote_is_refused(
    column: str, value: pa.Array, message: str
) -> None:
    table = to_table(many(2, 4), SCHEMA)
    with pytest.raises(ValueError, match=message):
        from_table(table.set_column(table.column_names.index(column), column, value))
    with pytest.raises(ValueError, match="no table of records"):
        from_table(pa.table({"a": [1]}))
