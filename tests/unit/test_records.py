"""Records as tables: the same back, however many there are."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from evoray.records import columns
from evoray.records.columns import texts
from evoray.records.records import COLUMNS, Record, Records, Status
from evoray.records.table import from_table, schema, to_table

SCHEMA = schema(["score"], ["score"])


def many(count: int, characters: int, parents: int = 2) -> Records:
    """Records with long keys and as many parents as their number says."""
    keys = np.array([f"{i:0{characters}d}".encode() for i in range(count)], dtype=np.bytes_)
    family = np.stack([np.roll(keys, 1 + p) for p in range(parents)], axis=1)
    family[np.arange(count)[:, None] % (parents + 1) <= np.arange(parents)] = b""
    rng = np.random.default_rng(0)
    return Records.filled(
        keys,
        rng.integers(0, 4, (count, 3), dtype=np.int16),
        values={"score": rng.random(count)},
        seconds={"score": rng.random(count)},
        violations=rng.random(count),
        status=rng.integers(0, 3, count, dtype=np.int8),
        generations=np.arange(count, dtype=np.int32),
        parents=family,
        workers=texts(["host"] * count),
    )


def assert_same(found: Records, wanted: Records) -> None:
    for column in COLUMNS:
        name = column.plural
        assert np.array_equal(getattr(found, name), getattr(wanted, name)), name
        assert getattr(found, name).dtype == getattr(wanted, name).dtype, name
    for values, others in ((found.values, wanted.values), (found.seconds, wanted.seconds)):
        assert values.keys() == others.keys()
        for name, column in values.items():
            assert np.array_equal(column, others[name]), name


def one(**fields: Any) -> Record:
    """A record of everything that a search can say of a network."""
    return Record(
        key="0a1",
        choices=(0, 10, 1),
        values={"score": 1.5},
        seconds={"score": 0.25},
        violation=0.5,
        status=Status.CANCELLED,
        attempts=2,
        shard=3,
        generation=4,
        parents=("0a0", "001"),
        operator="crossover",
        worker="host:1",
        weights_digest="0123",
        **fields,
    )


def test_the_one_table_of_columns_has_every_fact_of_a_record() -> None:
    apart = {"values", "seconds"}  # a column for each name in them
    assert {c.name for c in COLUMNS} | apart == {f.name for f in dataclasses.fields(Record)}
    assert {c.plural for c in COLUMNS} | apart == {f.name for f in dataclasses.fields(Records)}


def test_a_record_comes_back_whole_and_a_bare_one_with_the_defaults() -> None:
    failed = Record(key="1", choices=(1, 0, 0), status=Status.FAILED, error="out of memory")
    records = Records.of([one(), failed])
    assert list(records) == [one(), failed]
    assert list(from_table(to_table(records, SCHEMA))) == [one(), failed]
    bare = Record(key="2", choices=(0, 0, 2))
    assert list(Records.filled(np.array([b"2"]), np.array([[0, 0, 2]], dtype=np.int16))) == [bare]


def test_records_one_after_the_other_have_the_parents_and_values_of_all() -> None:
    bare = Record(key="1", choices=(1, 0, 0), values={"macs": 3.0}, parents=("0a1",))
    joined = Records.concat([Records.of([one()]), Records.of([bare])])
    assert list(joined) == [one(), bare]
    assert list(joined.take(np.array([1, 0]))) == [bare, one()]


def test_the_columns_of_the_ledger_and_their_order_never_change() -> None:
    assert [(field.name, str(field.type)) for field in schema(["score", "macs"], ["score"])] == [
        ("key", "string"),
        ("choices", "list<item: int16>"),
        ("score", "double"),
        ("macs", "double"),
        ("score_seconds", "double"),
        ("violation", "double"),
        ("status", "string"),
        ("error", "string"),
        ("attempts", "int32"),
        ("shard", "int32"),
        ("generation", "int32"),
        ("parents", "list<item: string>"),
        ("operator", "string"),
        ("worker", "string"),
        ("weights_digest", "string"),
    ]


@pytest.mark.parametrize(("count", "characters"), [(3, 5), (1000, 5), (30_000, 700), (140_000, 6)])
def test_any_number_of_records_of_any_length_comes_back(count: int, characters: int) -> None:
    records = many(count, characters)
    assert_same(from_table(to_table(records, SCHEMA)), records)


def test_no_records_come_back_as_none() -> None:
    assert len(from_table(to_table([], SCHEMA))) == 0


def test_lists_are_the_same_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = to_table(many(100, 9), SCHEMA)
    monkeypatch.setattr(columns, "_LISTS_A_PIECE", 7)
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
