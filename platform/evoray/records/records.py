"""Records: what is known of evaluated candidates; one as an object, many as columns, and how their
table looks in Arrow and Parquet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from searchspaces.base import Choices, Keys

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]  # (n,) of str


class Status(Enum):
    """How an evaluation ended.

    OK: every objective has a finite value. CANCELLED: a measured constraint was broken, so the
    objectives that come after it were not measured. STOPPED: others of its generation did better on
    a part of the evaluation budget, so it got no more of it. FAILED: an objective could not be
    measured, `Record.error` says why.
    """

    OK = "ok"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def code(self) -> int:
        """Its number in `Records.status`."""
        return STATUSES.index(self)


STATUSES = tuple(Status)
_LISTS_A_PIECE = 65_536


@dataclass(frozen=True, kw_only=True)
class Record:
    """One evaluated candidate.

    Attributes:
        key: The architecture's key; at most one record a key in a run.
        choices: Canonical option indices.
        values: Objectives and costs by name, each in its own unit; finite. One that was not
            measured is absent.
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
        weights_digest: First 16 hex digits of the SHA-256 of the supernet's weights; "" without
            one.
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
            raise ValueError(
                f"record {self.key}: a failed record and only that has an error, got {self.status} "
                f"with {self.error!r}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Records(Sequence[Record]):
    """Many records as columns of equal length n, so that a million of them stay cheap; also a
    sequence of `Record`.

    Attributes:
        keys: (n,) ASCII bytes.
        choices: (n, g) canonical.
        values: By name (n,), NaN where it was not measured.
        seconds: By name (n,), NaN where it was not measured.
        violations: (n,).
        status: (n,) indices into STATUSES.
        errors, operators, workers, digests: (n,) texts.
        attempts, shards, generations: (n,).
        parents: (n, p) keys, b"" where there are fewer than p parents.
    """

    keys: Keys
    choices: Choices
    values: Mapping[str, Floats]
    seconds: Mapping[str, Floats]
    violations: Floats
    status: NDArray[np.int8]
    errors: Texts
    attempts: NDArray[np.int32]
    shards: NDArray[np.int32]
    generations: NDArray[np.int32]
    parents: Keys
    operators: Texts
    workers: Texts
    digests: Texts

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[Record]:
        return (self[i] for i in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Records: ...
    def __getitem__(self, index: int | slice) -> Record | Records:
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        return Record(
            key=self.keys[index].decode(),
            choices=tuple(self.choices[index].tolist()),
            values={
                name: float(column[index])
                for name, column in self.values.items()
                if not np.isnan(column[index])
            },
            seconds={
                name: float(column[index])
                for name, column in self.seconds.items()
                if not np.isnan(column[index])
            },
            violation=float(self.violations[index]),
            status=STATUSES[self.status[index]],
            error=self.errors[index],
            attempts=int(self.attempts[index]),
            shard=int(self.shards[index]),
            generation=int(self.generations[index]),
            parents=tuple(key.decode() for key in self.parents[index] if key),
            operator=self.operators[index],
            worker=self.workers[index],
            weights_digest=self.digests[index],
        )

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Records:
        """These rows, in this order."""
        own = {name: getattr(self, name)[rows] for name in _PLAIN_COLUMNS}
        return replace(
            self,
            **own,
            values={n: c[rows] for n, c in self.values.items()},
            seconds={n: c[rows] for n, c in self.seconds.items()},
        )

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(n,): which of them failed."""
        return np.asarray(self.status == Status.FAILED.code)

    @staticmethod
    def of(records: Iterable[Record], num_genes: int = 0) -> Records:
        """The columns of records; `num_genes` matters only when there are none."""
        if isinstance(records, Records):
            return records
        rows = list(records)
        num_parents = max((len(r.parents) for r in rows), default=0)
        parents = [
            [*map(str.encode, r.parents), *[b""] * (num_parents - len(r.parents))] for r in rows
        ]
        return Records(
            keys=np.array([r.key.encode() for r in rows], dtype=np.bytes_),
            choices=np.array([r.choices for r in rows], dtype=np.int16).reshape(
                len(rows), -1 if rows else num_genes
            ),
            values={name: _column(rows, "values", name) for name in _names(r.values for r in rows)},
            seconds={
                name: _column(rows, "seconds", name) for name in _names(r.seconds for r in rows)
            },
            violations=np.array([r.violation for r in rows], dtype=np.float64),
            status=np.array([r.status.code for r in rows], dtype=np.int8),
            errors=texts([r.error for r in rows]),
            attempts=np.array([r.attempts for r in rows], dtype=np.int32),
            shards=np.array([r.shard for r in rows], dtype=np.int32),
            generations=np.array([r.generation for r in rows], dtype=np.int32),
            parents=np.array(parents, dtype=np.bytes_).reshape(len(rows), num_parents),
            operators=texts([r.operator for r in rows]),
            workers=texts([r.worker for r in rows]),
            digests=texts([r.weights_digest for r in rows]),
        )

    @staticmethod
    def concat(parts: Sequence[Records]) -> Records:
        """One after the other; at least one part. A value that a part lacks is NaN there."""
        if len(parts) == 1:
            return parts[0]
        own = {
            name: np.concatenate([getattr(p, name) for p in parts])
            for name in _PLAIN_COLUMNS
            if name != "parents"
        }
        return Records(
            **own,
            parents=joined_parents([p.parents for p in parts]),
            values={
                name: _joined(parts, "values", name) for name in _names(p.values for p in parts)
            },
            seconds={
                name: _joined(parts, "seconds", name) for name in _names(p.seconds for p in parts)
            },
        )


_PLAIN_COLUMNS = tuple(f.name for f in fields(Records) if f.name not in ("values", "seconds"))


_FIXED_COLUMNS = (
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
)
_LONGEST_TEXT = 2000  # characters of one recorded text; of a longer one the middle is left out


def recordable(text: object) -> str:
    """`text` as every file and terminal can hold it, whatever an objective or a file name has put
    into it.

    What is no Unicode (a lone surrogate, from a file name in another encoding) and NUL are written
    as escapes.
    """
    try:
        said = str(text)
    except Exception as failure:  # an exception's own __str__ may be as wrong as its objective
        said = f"{type(text).__qualname__} whose text cannot be made ({type(failure).__qualname__})"
    said = said.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
    if len(said) <= _LONGEST_TEXT:
        return said
    half = _LONGEST_TEXT // 2
    return f"{said[:half]} ... ({len(said) - 2 * half} characters left out) ... {said[-half:]}"


def recordable_texts(column: Texts) -> Texts:
    """The same of a column."""
    return texts([recordable(text) if text else "" for text in column.tolist()])


def texts(values: Sequence[str]) -> Texts:
    """(n,) texts as a column."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def joined_parents(parts: Sequence[Keys]) -> Keys:
    """(n, p) blocks one after the other, padded with b"" to the widest."""
    width, length = max(p.shape[1] for p in parts), max(p.dtype.itemsize for p in parts)
    joined = np.zeros((sum(map(len, parts)), width), dtype=f"S{length}")
    start = 0
    for part in parts:
        joined[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return joined


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _column(rows: Sequence[Record], of: str, name: str) -> Floats:
    return np.array([getattr(r, of).get(name, np.nan) for r in rows], dtype=np.float64)


def _joined(parts: Sequence[Records], of: str, name: str) -> Floats:
    return np.concatenate([getattr(p, of).get(name, np.full(len(p), np.nan)) for p in parts])


def schema(value_names: Sequence[str], measured: Sequence[str]) -> pa.Schema:
    """The ledger's columns: `value_names` (objectives and costs) each as a column, and
    "NAME_seconds" for each of `measured`.

    Raises:
        ValueError: A name is also the name of a fixed column.
    """
    check_value_names(value_names, measured)
    columns = [(name, pa.float64()) for name in value_names] + [
        (f"{name}_seconds", pa.float64()) for name in measured
    ]
    return pa.schema([*_FIXED_COLUMNS[:2], *columns, *_FIXED_COLUMNS[2:]])


def check_value_names(value_names: Sequence[str], measured: Sequence[str]) -> None:
    """Checks that these can be columns of the ledger and names in a constraint.

    Raises:
        ValueError: One is the name of another column, or holds a sign of comparison.
    """
    taken = {name for name, _ in _FIXED_COLUMNS}
    seconds = {f"{name}_seconds": name for name in measured}
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
    if len(set(value_names)) != len(value_names):
        raise ValueError(f"objectives and costs need distinct names, got {list(value_names)}")


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
    columns: dict[str, pa.Array] = {
        name: pa.array(column, from_pandas=True) for name, column in numbers.items()
    }
    columns |= {
        "key": pa.array(rows.keys).cast(pa.string()),
        "choices": _lists(
            rows.choices.reshape(-1), np.full(len(rows), rows.choices.shape[1]), pa.int16()
        ),
        "violation": pa.array(rows.violations),
        "status": pa.array(
            [STATUSES[code].value for code in rows.status.tolist()], type=pa.string()
        ),
        "error": pa.array(rows.errors, type=pa.string()),
        "attempts": pa.array(rows.attempts),
        "shard": pa.array(rows.shards),
        "generation": pa.array(rows.generations),
        "parents": _lists(
            rows.parents[rows.parents != b""], (rows.parents != b"").sum(axis=1), pa.string()
        ),
        "operator": pa.array(rows.operators, type=pa.string()),
        "worker": pa.array(rows.workers, type=pa.string()),
        "weights_digest": pa.array(rows.digests, type=pa.string()),
    }
    missing = {
        name: pa.nulls(len(rows), pa.float64())
        for name in table_schema.names
        if name not in columns
    }
    return pa.table({**columns, **missing}).select(table_schema.names).cast(table_schema)


def from_table(table: pa.Table) -> Records:
    """The records that `to_table` wrote.

    Raises:
        ValueError: It has other columns, or a status that none of them has.
    """
    names = table.column_names
    if not {"choices", "violation"} <= set(names):
        raise ValueError(
            f"this is no table of records, it has the columns {names}: give one that a search has "
            "written"
        )
    named = names[2 : names.index("violation")]
    seconds = [n for n in named if n.endswith("_seconds") and n.removesuffix("_seconds") in named]
    values = [n for n in named if n not in seconds]
    codes = pc.index_in(table["status"], value_set=pa.array([status.value for status in Status]))
    if codes.null_count:
        raise ValueError(
            f"a record's status must be one of {[s.value for s in Status]}, got "
            f"{table['status'].unique().to_pylist()}"
        )
    return Records(
        keys=_key_column(table["key"]),
        choices=_choices_column(table["choices"]),
        values={n: table[n].to_numpy().astype(np.float64) for n in values},
        seconds={
            n.removesuffix("_seconds"): table[n].to_numpy().astype(np.float64) for n in seconds
        },
        violations=table["violation"].to_numpy().copy(),
        status=codes.to_numpy().astype(np.int8),
        errors=texts(table["error"].to_pylist()),
        attempts=table["attempts"].to_numpy().copy(),
        shards=table["shard"].to_numpy().copy(),
        generations=table["generation"].to_numpy().copy(),
        parents=_parents_column(table["parents"]),
        operators=texts(table["operator"].to_pylist()),
        workers=texts(table["worker"].to_pylist()),
        digests=texts(table["weights_digest"].to_pylist()),
    )


def _key_column(column: pa.ChunkedArray) -> Keys:
    return np.asarray(column.cast(pa.binary()).to_numpy(), dtype=np.bytes_)


def _choices_column(column: pa.ChunkedArray) -> Choices:
    lengths = set(pc.list_value_length(column).unique().to_pylist())
    if len(lengths) > 1:
        raise ValueError(
            f"all records must have as many choices, got {sorted(map(str, lengths))} in one table"
        )
    flat: Choices = pc.list_flatten(column).to_numpy().astype(np.int16)
    return flat.reshape(len(column), -1 if len(column) else 0)


def _parents_column(column: pa.ChunkedArray) -> Keys:
    counts = pc.list_value_length(column).to_numpy().astype(np.int64)
    found = _key_column(pc.list_flatten(column))
    parents = np.zeros((len(column), counts.max(initial=0)), dtype=found.dtype)
    parents[np.arange(parents.shape[1]) < counts[:, None]] = found
    return parents


def _lists(items: NDArray[Any], lengths: NDArray[np.int64], kind: pa.DataType) -> pa.ChunkedArray:
    """(n,) lists; in pieces, for one array holds no more than 2 GiB of text."""
    ends = np.cumsum(lengths)
    pieces = []
    for first in range(0, len(lengths), _LISTS_A_PIECE):
        last = min(first + _LISTS_A_PIECE, len(lengths))
        start = int(ends[first] - lengths[first])
        offsets = np.concatenate([[0], ends[first:last] - start]).astype(np.int32)
        flat = pa.array(items[start : int(ends[last - 1])]).cast(kind)
        if isinstance(flat, pa.ChunkedArray):  # of more than 16 MiB of text
            flat = flat.combine_chunks()
        pieces.append(pa.ListArray.from_arrays(pa.array(offsets), flat))
    return pa.chunked_array(pieces, type=pa.list_(kind))
