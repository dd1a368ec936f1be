"""Records: what is known of evaluated candidates; one as an object, many as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from enum import Enum
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from evoray.records.columns import (
    ArchitectureKeys,
    Floats,
    KeyLists,
    Kind,
    Members,
    Numbers,
    OptionIndices,
    Texts,
    Values,
    Words,
)
from searchspaces.base import Choices, Keys


class Status(Enum):
    """Outcome of an evaluation.

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
        """Number of the status in `Records.status`."""
        return STATUSES.index(self)


STATUSES = tuple(Status)


@dataclass(frozen=True, kw_only=True)
class Record:
    """One evaluated candidate.

    Attributes:
        key: The architecture's key; at most one record a key in a run.
        choices: Canonical option indices.
        values: Objectives and costs by name, each in its own unit; finite. One that was not
            measured is absent.
        seconds: Wall-clock of each measurement, by its objective's name.
        violation: Sum of the constraints' relative violations; 0 when feasible.
        status: Outcome of the evaluation.
        error: Why it failed; "" otherwise.
        attempts: Times that the evaluation was started.
        shard: Index of the population shard that proposed it.
        generation: The shard's generation in which it was proposed, from 0.
        parents: Keys of the parents; empty for a sampled one.
        operator: Operator that made it: "sample", "crossover+mutation", "grid" ...
        worker: Worker that measured it, for people.
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
        values: Values by name (n,), NaN where it was not measured.
        seconds: Seconds by name (n,), NaN where it was not measured.
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
            values=_there(self.values, index),
            seconds=_there(self.seconds, index),
            **{c.name: c.kind.value(getattr(self, c.plural)[index]) for c in COLUMNS},
        )

    def take(self, rows: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> Records:
        """Takes these rows, in this order."""
        return Records(
            values={name: column[rows] for name, column in self.values.items()},
            seconds={name: column[rows] for name, column in self.seconds.items()},
            **{c.plural: getattr(self, c.plural)[rows] for c in COLUMNS},
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
        columns = {c.plural: c.kind.of([getattr(row, c.name) for row in rows]) for c in COLUMNS}
        if not rows:
            columns["choices"] = np.zeros((0, num_genes), dtype=np.int16)
        return Records(
            values=_gathered([row.values for row in rows]),
            seconds=_gathered([row.seconds for row in rows]),
            **columns,
        )

    @staticmethod
    def filled(
        keys: Keys,
        choices: Choices,
        *,
        values: Mapping[str, Floats] | None = None,
        seconds: Mapping[str, Floats] | None = None,
        **columns: Values,
    ) -> Records:
        """Records with these columns, by their names here; each of the others holds what a `Record`
        has by default.
        """
        num = len(keys)
        missing = {
            c.plural: c.kind.of([c.default]).repeat(num, axis=0)
            for c in COLUMNS
            if c.default is not MISSING and c.plural not in columns
        }
        return Records(
            keys=keys,
            choices=choices,
            values=values or {},
            seconds=seconds or {},
            **columns,
            **missing,
        )

    @staticmethod
    def concat(parts: Sequence[Records]) -> Records:
        """One after the other; at least one part. A value that a part lacks is NaN there."""
        if len(parts) == 1:
            return parts[0]
        return Records(
            values=_joined([(part.values, len(part)) for part in parts]),
            seconds=_joined([(part.seconds, len(part)) for part in parts]),
            **{c.plural: c.kind.joined([getattr(p, c.plural) for p in parts]) for c in COLUMNS},
        )


@dataclass(frozen=True)
class Column:
    """One fact of a record, as a column of `Records` and of the ledger.

    Attributes:
        name: Name of `Record`'s field and of the ledger's column.
        plural: Name of `Records`' field.
        kind: Types in memory and in Arrow.
        default: Value for a record that says nothing of it; MISSING where it must.
    """

    name: str
    plural: str
    kind: Kind
    default: Any = MISSING  # Any: a value of its kind


_DEFAULTS = {f.name: f.default for f in fields(Record)}

COLUMNS = tuple(
    Column(name, plural, kind, _DEFAULTS[name])
    for name, plural, kind in (
        ("key", "keys", ArchitectureKeys()),
        ("choices", "choices", OptionIndices()),
        ("violation", "violations", Numbers(np.float64)),
        ("status", "status", Members(Status)),
        ("error", "errors", Words()),
        ("attempts", "attempts", Numbers(np.int32)),
        ("shard", "shards", Numbers(np.int32)),
        ("generation", "generations", Numbers(np.int32)),
        ("parents", "parents", KeyLists()),
        ("operator", "operators", Words()),
        ("worker", "workers", Words()),
        ("weights_digest", "digests", Words()),
    )
)


def _there(columns: Mapping[str, Floats], index: int) -> dict[str, float]:
    """One record's values by name, without those that were not measured."""
    return {name: float(c[index]) for name, c in columns.items() if not np.isnan(c[index])}


def _names(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))


def _gathered(rows: Sequence[Mapping[str, float]]) -> dict[str, Floats]:
    """Columns of values by name, each (n,); NaN where a row has none."""
    return {
        name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64)
        for name in _names(rows)
    }


def _joined(parts: Sequence[tuple[Mapping[str, Floats], int]]) -> dict[str, Floats]:
    """Concatenates the columns of all parts, by name; the parts are given with their lengths."""
    return {
        name: np.concatenate([columns.get(name, np.full(num, np.nan)) for columns, num in parts])
        for name in _names(columns for columns, _ in parts)
    }
