"""Tables: how records look in Arrow and Parquet, which columns there are and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from evoray.records.columns import Floats
from evoray.records.records import COLUMNS, Record, Records

_BEFORE_VALUES = 2  # columns: the key and the choices; the others come after the values
_OF_SEVERAL = {b"evoray": b"seconds"}  # marks the seconds of a measurement with several values


def schema(value_names: Sequence[str], measurements: Sequence[str]) -> pa.Schema:
    """The ledger's columns: `value_names` (objectives and costs) each as a column, and
    "NAME_seconds" for each of `measurements`.

    The seconds of a measurement with several values, whose name is none of theirs, are told from a
    value with such an ending by the field's metadata.

    Raises:
        ValueError: A name is also the name of a fixed column.
    """
    check_value_names(value_names, measurements)
    fixed = [pa.field(column.name, column.kind.arrow) for column in COLUMNS]
    values = [pa.field(name, pa.float64()) for name in value_names]
    for name in measurements:
        about = None if name in value_names else _OF_SEVERAL
        values.append(pa.field(f"{name}_seconds", pa.float64(), metadata=about))
    return pa.schema([*fixed[:_BEFORE_VALUES], *values, *fixed[_BEFORE_VALUES:]])


def value_columns(table_schema: pa.Schema) -> list[str]:
    """The columns of a ledger without those that say how long measuring took."""
    seconds = _seconds_columns(table_schema)
    return [name for name in table_schema.names if name not in seconds]


def _seconds_columns(table_schema: pa.Schema) -> list[str]:
    end = table_schema.names.index(COLUMNS[_BEFORE_VALUES].name)
    named = list(table_schema)[_BEFORE_VALUES:end]
    names = {field.name for field in named}
    return [
        field.name
        for field in named
        if field.name.endswith("_seconds")
        and (field.name.removesuffix("_seconds") in names or field.metadata == _OF_SEVERAL)
    ]


def check_value_names(value_names: Sequence[str], measurements: Sequence[str]) -> None:
    """Checks that these can be columns of the ledger and names in a constraint.

    Raises:
        ValueError: One is the name of another column, or holds a sign of comparison.
    """
    taken = {column.name for column in COLUMNS}
    seconds = {f"{name}_seconds": name for name in measurements}
    for name in value_names:
        if name in taken:
            raise ValueError(
                f"no objective or cost may be called {name!r}, which is a column of the ledger: "
                f"rename it, for example {name}_value"
            )
        if name in seconds:
            raise ValueError(
                f"no objective or cost may be called {name!r}, the column of how long "
                f"{seconds[name]!r} took: rename one of them"
            )
        if any(sign in name for sign in "<>="):
            raise ValueError(
                "the name of an objective or cost must be without <, > and =, which constraints "
                f"are written with, got {name!r}"
            )
    for names in (value_names, measurements):
        if len(set(names)) != len(names):
            raise ValueError(f"objectives and costs need distinct names, got {list(names)}")


def to_table(records: Iterable[Record], table_schema: pa.Schema) -> pa.Table:
    """Records as a table in the order given; a value that was not measured becomes null.

    Raises:
        ValueError: A record has a value that the schema has no column for.
    """
    rows = Records.of(records)
    numbers = {
        **rows.values,
        **{f"{name}_seconds": column for name, column in rows.seconds.items()},
    }
    unknown = [name for name in numbers if name not in table_schema.names]
    if unknown:
        raise ValueError(f"these records have values that the ledger has no column for: {unknown}")
    columns = {name: pa.array(column, from_pandas=True) for name, column in numbers.items()}
    for column in COLUMNS:
        columns[column.name] = column.kind.to_arrow(getattr(rows, column.plural))
    for name in table_schema.names:
        if name not in columns:
            columns[name] = pa.nulls(len(rows), pa.float64())
    return pa.table(columns).select(table_schema.names).cast(table_schema)


def from_table(table: pa.Table) -> Records:
    """The records that `to_table` wrote.

    Raises:
        ValueError: It has other columns, or a status that none of them has.
    """
    names = table.column_names
    first, last = COLUMNS[_BEFORE_VALUES - 1].name, COLUMNS[_BEFORE_VALUES].name
    if not {first, last} <= set(names):
        raise ValueError(
            f"this is no table of records, it has the columns {names}: give one that a search has "
            "written"
        )
    named = names[_BEFORE_VALUES : names.index(last)]
    seconds = _seconds_columns(table.schema)
    return Records(
        values={name: _numbers(table, name) for name in named if name not in seconds},
        seconds={name.removesuffix("_seconds"): _numbers(table, name) for name in seconds},
        **{column.plural: column.kind.from_arrow(table[column.name]) for column in COLUMNS},
    )


def _numbers(table: pa.Table, name: str) -> Floats:
    """(n,) values, NaN where they are null."""
    return np.asarray(table[name].to_numpy().astype(np.float64))
