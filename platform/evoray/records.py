"""Records: what is known of one evaluated candidate, and how a table of them looks in Arrow and Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pyarrow as pa


class Status(Enum):
    """How an evaluation ended.

    OK: every objective has a finite value. CANCELLED: a measured constraint was broken, so the objectives that come after it
    were not measured. FAILED: an objective could not be measured, `Record.error` says why.
    """

    OK = "ok"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One evaluated candidate.

    Attributes:
        key: The architecture's key; at most one record a key in a run.
        choices: Canonical option indices.
        values: Objectives and costs by name, each in its own unit; finite. One that was not measured is absent.
        seconds: Wall-clock of each measured objective, by name.
        violation: Sum of the constraints' relative violations; 0 when feasible.
        status: How the evaluation ended.
        error: Why it failed; "" otherwise.
        attempts: How many times the evaluation was started.
        shard: Index of the population shard that proposed it.
        generation: The shard's generation in which it was proposed, from 0.
        parents: Keys of the parents; empty for a sampled one.
        operator: How it was made: "sample", "crossover+mutation", "grid" ...
        worker: Who measured it, for people.
        weights_digest: First 16 hex digits of the SHA-256 of the supernet's weights; "" without one.
    """

    key: str
    choices: tuple[int, ...]
    values: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    violation: float = 0.0
    status: Status = Status.OK
    error: str = ""
    attempts: int = 1
    shard: int = 0
    generation: int = 0
    parents: tuple[str, ...] = ()
    operator: str = "sample"
    worker: str = ""
    weights_digest: str = ""

    def __post_init__(self) -> None:
        if (self.status is Status.FAILED) != bool(self.error):
            raise ValueError(f"record {self.key}: a failed record and only that has an error, got {self.status} with {self.error!r}")


def schema(value_names: Sequence[str], measured: Sequence[str]) -> pa.Schema:
    """The ledger's columns: `value_names` (objectives and costs) each as a column, and "NAME_seconds" for each of `measured`.

    Raises:
        ValueError: A name is also the name of a fixed column.
    """
    fixed = [
        ("key", pa.string()),
        ("choices", pa.list_(pa.int16())),
        ("violation", pa.float64()),
        ("status", pa.string()),
        ("error", pa.string()),
        ("attempts", pa.int32()),
        ("shard", pa.int32()),
        ("generation", pa.int32()),
        ("parents", pa.list_(pa.string())),
        ("operator", pa.string()),
        ("worker", pa.string()),
        ("weights_digest", pa.string()),
    ]
    taken = {name for name, _ in fixed}
    columns = [(name, pa.float64()) for name in value_names] + [(f"{name}_seconds", pa.float64()) for name in measured]
    clash = [name for name, _ in columns if name in taken]
    if clash or len({name for name, _ in columns}) != len(columns):
        raise ValueError(f"names of objectives and costs must be distinct and none of {sorted(taken)}, got {list(value_names)}")
    return pa.schema([*fixed[:2], *columns, *fixed[2:]])


def to_table(records: Iterable[Record], table_schema: pa.Schema) -> pa.Table:
    """Records as a table in the order given; a value that was not measured becomes null."""
    rows = [_row(record, table_schema) for record in records]
    return pa.Table.from_pylist(rows, schema=table_schema)


def from_table(table: pa.Table) -> list[Record]:
    """The records that `to_table` wrote."""
    names = table.column_names
    seconds = [n for n in names if n.endswith("_seconds")]
    values = [n for n in names[2 : names.index("violation")] if n not in seconds]
    return [
        Record(
            key=row["key"],
            choices=tuple(row["choices"]),
            values={n: row[n] for n in values if row[n] is not None},
            seconds={n.removesuffix("_seconds"): row[n] for n in seconds if row[n] is not None},
            violation=row["violation"],
            status=Status(row["status"]),
            error=row["error"],
            attempts=row["attempts"],
            shard=row["shard"],
            generation=row["generation"],
            parents=tuple(row["parents"]),
            operator=row["operator"],
            worker=row["worker"],
            weights_digest=row["weights_digest"],
        )
        for row in table.to_pylist()
    ]


def _row(record: Record, table_schema: pa.Schema) -> dict[str, Any]:
    fixed = {
        "key": record.key,
        "choices": list(record.choices),
        "violation": record.violation,
        "status": record.status.value,
        "error": record.error,
        "attempts": record.attempts,
        "shard": record.shard,
        "generation": record.generation,
        "parents": list(record.parents),
        "operator": record.operator,
        "worker": record.worker,
        "weights_digest": record.weights_digest,
    }
    seconds = {f"{name}_seconds": value for name, value in record.seconds.items()}
    unknown = [name for name in (*record.values, *seconds) if name not in table_schema.names]
    if unknown:
        raise ValueError(f"record {record.key} has values that the ledger has no column for: {unknown}")
    return {**fixed, **record.values, **seconds}
