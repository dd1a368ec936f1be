"""The ledger: every finished evaluation, durable before it is used. A folder of Parquet parts, each written whole or not at all."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from evoray.records import Record, Records, from_table, to_table
from evoray.storage import Location, Storage, open_storage
from searchspaces.base import Keys

_log = logging.getLogger(__name__)
_PART = re.compile(r"part-(\d+)(?:-(\d+))?\.parquet")
_FAN_IN = 32  # so many parts of one size are merged into one
_READ_ATTEMPTS = 5  # of listing the parts again when compaction has replaced some of them under the reader


class Ledger(Protocol):
    """Where a search writes its records before it uses them; it holds one record a key."""

    def append(self, records: Sequence[Record]) -> None:
        """Adds records of new keys. When it returns they are kept, as safely as this ledger can."""
        ...

    def rows(self, keys: Keys) -> NDArray[np.int64]:
        """(n,): the row of each key in the order of completion, -1 for one that is not there."""
        ...

    def take(self, rows: NDArray[np.int64]) -> Records:
        """The records in these rows."""
        ...

    def __len__(self) -> int: ...


class MemoryLedger:
    """For a search that leaves no files; lost with the process."""

    def __init__(self, num_genes: int = 0) -> None:
        self._parts: list[Records] = []
        self._starts: list[int] = []
        self._rows: dict[bytes, int] = {}
        self._num_genes = num_genes

    def append(self, records: Sequence[Record]) -> None:
        if len(records) == 0:
            return
        columns, start = Records.of(records), len(self._rows)
        self._rows.update(zip(columns.keys.tolist(), range(start, start + len(columns)), strict=True))
        if len(self._rows) != start + len(columns):
            raise ValueError("these records have keys that are in the ledger already, or twice: a network is recorded once")
        self._parts.append(columns)
        self._starts.append(start)

    def rows(self, keys: Keys) -> NDArray[np.int64]:
        known = self._rows
        return np.fromiter((known.get(key, -1) for key in keys.tolist()), dtype=np.int64, count=len(keys))

    def take(self, rows: NDArray[np.int64]) -> Records:
        if len(rows) == 0:
            return Records.of([], self._num_genes)
        of_part = np.searchsorted(self._starts, rows, side="right") - 1
        used = np.unique(of_part)
        found = Records.concat([self._parts[p].take(rows[of_part == p] - self._starts[p]) for p in used])
        if len(used) == 1:
            return found
        order = np.empty(len(rows), dtype=np.int64)
        order[np.argsort(of_part, kind="stable")] = np.arange(len(rows))
        return found.take(order)

    @property
    def records(self) -> Records:
        """Every record in the order of completion."""
        if len(self._parts) > 1:
            self._parts, self._starts = [Records.concat(self._parts)], [0]
        return self._parts[0] if self._parts else Records.of([], self._num_genes)

    def __len__(self) -> int:
        return len(self._rows)


class FolderLedger:
    """The one writer of a ledger folder. Use it as a context manager, or call `close()`.

    Small parts are merged in the background: the merged file stands before the merged ones go, so a crash loses nothing.
    """

    def __init__(self, location: Location, table_schema: pa.Schema) -> None:
        """Opens or makes the folder, a local path or a URI; sets damaged parts aside and becomes the one writer.

        Raises:
            RuntimeError: Another process writes to it.
            ValueError: The parts that are there have other columns.
        """
        self._storage = open_storage(location)
        self._schema = table_schema
        self._memory = MemoryLedger()
        self._merging: Future[None] | None = None
        self._merger = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        try:
            self._unlock = self._storage.lock()
        except OSError as error:
            raise _unwritable(error, f"the ledger {self._storage.location} cannot be opened for writing", "nothing was changed") from None
        try:
            self._load()
        except BaseException:
            self._unlock()
            raise

    def _load(self) -> None:
        for left_over in self._storage.names(".part-"):
            self._storage.delete(left_over)
        listing = _Listing.of(self._storage)
        tables = _Tables(self._storage, set_aside=True)
        self._parts = tables.add(listing.parts)
        self._next = listing.next
        table = tables.together(self._parts)
        if table is not None and table.schema.names != self._schema.names:
            raise ValueError(
                f"{self._storage.location} has the columns {table.schema.names}, but this search writes {self._schema.names}: start a new run"
            )
        for part in listing.parts:
            if part not in self._parts and part not in tables.damaged:
                self._storage.delete(part.name)  # a crash came between merging and deleting
        if table is not None:
            records = from_table(table)
            first = np.unique(records.keys, return_index=True)[1]
            self._memory.append(records.take(np.sort(first)))

    def append(self, records: Sequence[Record]) -> None:
        """Writes the records as one part; when it returns they survive a crash of the process or the machine.

        Raises:
            OSError: They could not be written; none of them is in the ledger.
        """
        if len(records) == 0:
            return
        part = _Part(self._next, self._next)
        try:
            self._storage.write(part.name, _serialized(to_table(records, self._schema)))
        except OSError as error:
            what = f"{len(records)} finished evaluations could not be written to the ledger {self._storage.location}"
            raise _unwritable(error, what, "what was written before is safe") from None
        self._next += 1
        self._parts.append(part)
        self._memory.append(records)
        self._compact()

    def rows(self, keys: Keys) -> NDArray[np.int64]:
        return self._memory.rows(keys)

    def take(self, rows: NDArray[np.int64]) -> Records:
        return self._memory.take(rows)

    @property
    def records(self) -> Records:
        """Every record in the order of completion."""
        return self._memory.records

    def __len__(self) -> int:
        return len(self._memory)

    def close(self) -> None:
        """Waits for the merging that is under way and lets another process write."""
        self._merger.shutdown(wait=True)
        self._unlock()

    def __enter__(self) -> FolderLedger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _compact(self) -> None:
        """Starts merging when enough parts of one size stand beside each other, unless a merging is under way."""
        if self._merging is not None:
            if not self._merging.done():
                return
            self._merging = None
        start = _first_run([p.level for p in self._parts])
        if start is None:
            return
        small = self._parts[start : start + _FAN_IN]
        merged = _Part(small[0].first, small[-1].last)
        self._parts[start : start + _FAN_IN] = [merged]
        self._merging = self._merger.submit(self._merge, small, merged)

    def _merge(self, parts: Sequence[_Part], merged: _Part) -> None:
        try:
            tables = [pq.read_table(pa.BufferReader(self._storage.read(p.name))) for p in parts]
            self._storage.write(merged.name, _serialized(pa.concat_tables(tables)))
            for part in parts:
                self._storage.delete(part.name)
        except (OSError, pa.ArrowException) as error:  # the small parts are still there and whole
            _log.warning("ledger %s could not be compacted, it stays as it is: %s", self._storage.location, error)


@dataclass(frozen=True)
class _Part:
    """One file of the ledger: what was written by the appends `first` to `last`."""

    first: int
    last: int

    @property
    def name(self) -> str:
        return f"part-{self.first:08d}.parquet" if self.first == self.last else f"part-{self.first:08d}-{self.last:08d}.parquet"

    @property
    def level(self) -> int:
        """How often it was merged."""
        size, level = self.last - self.first + 1, 0
        while size >= _FAN_IN:
            size, level = size // _FAN_IN, level + 1
        return level

    @staticmethod
    def of(name: str) -> _Part | None:
        match = _PART.fullmatch(name)
        return _Part(int(match[1]), int(match[2] or match[1])) if match else None


def read_ledger(location: Location) -> pa.Table | None:
    """Every readable part in the order of completion, also while a run goes on; None when there is none.

    A damaged part is named in a warning and left out.
    """
    storage = open_storage(location)
    tables = _Tables(storage, set_aside=False)
    before: _Listing | None = None
    for _ in range(_READ_ATTEMPTS):
        listing = _Listing.of(storage)
        # A folder that changes while it is listed can show neither some small parts nor the merged one that replaces them.
        if listing.is_complete or listing == before:
            try:
                return tables.together(tables.add(listing.parts))
            except FileNotFoundError:
                continue
        before = listing
    raise RuntimeError(f"the ledger {storage.location} changes faster than it can be read: try again")


def num_parts(location: Location) -> int:
    """How many files a ledger consists of at the moment."""
    return len(open_storage(location).names("part-"))


@dataclass(frozen=True)
class _Listing:
    """The parts that were there at one moment, also those inside of merged ones, and what was set aside as damaged."""

    parts: tuple[_Part, ...]
    set_aside: tuple[_Part, ...]

    @staticmethod
    def of(storage: Storage) -> _Listing:
        parts = map(_Part.of, storage.names("part-"))
        damaged = (_Part.of(name.removeprefix("_damaged-")) for name in storage.names("_damaged-part-"))
        return _Listing(tuple(p for p in parts if p), tuple(p for p in damaged if p))

    @property
    def next(self) -> int:
        """The number of the next append."""
        return max((p.last for p in self.parts + self.set_aside), default=-1) + 1

    @property
    def is_complete(self) -> bool:
        """Whether every append since the first is accounted for."""
        expected = 0
        for part in _uncovered(self.parts + self.set_aside):
            if part.first > expected:
                return False
            expected = max(expected, part.last + 1)
        return True


class _Tables:
    """Parts that were read; they never change, so each is read once.

    Attributes:
        damaged: Those that could not be read.
    """

    def __init__(self, storage: Storage, *, set_aside: bool) -> None:
        self._storage = storage
        self._set_aside = set_aside
        self._tables: dict[_Part, pa.Table] = {}
        self.damaged: set[_Part] = set()

    def add(self, parts: Sequence[_Part]) -> list[_Part]:
        """Reads the parts; returns those that hold everything once. In the place of a damaged merged one the small ones are taken.

        Raises:
            FileNotFoundError: One is not there any more.
        """
        while True:
            chosen = _uncovered([p for p in parts if p not in self.damaged])
            missing = next((p for p in chosen if p not in self._tables), None)
            if missing is None:
                return chosen
            self._read(missing)

    def together(self, parts: Sequence[_Part]) -> pa.Table | None:
        """Their rows one after the other; None for no parts."""
        return pa.concat_tables([self._tables[p] for p in parts]) if parts else None

    def _read(self, part: _Part) -> None:
        try:
            self._tables[part] = pq.read_table(pa.BufferReader(self._storage.read(part.name)))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            self.damaged.add(part)
            if self._set_aside:
                self._storage.rename(part.name, f"_damaged-{part.name}")
            action = "it was set aside; its evaluations will be repeated" if self._set_aside else "its evaluations are left out"
            _log.warning("ledger part %s/%s is damaged (%s): %s", self._storage.location, part.name, str(error).splitlines()[0], action)


def _uncovered(parts: Sequence[_Part]) -> list[_Part]:
    """Without those that are inside of a merged one; in the order of writing."""
    kept: list[_Part] = []
    for part in sorted(parts, key=lambda p: (p.first, -p.last)):
        if not kept or part.last > kept[-1].last:
            kept.append(part)
    return kept


def _first_run(levels: Sequence[int]) -> int | None:
    """Where `_FAN_IN` equal levels begin."""
    length = 0
    for index, level in enumerate(levels):
        length = length + 1 if index and level == levels[index - 1] else 1
        if length == _FAN_IN:
            return index - _FAN_IN + 1
    return None


def _unwritable(error: OSError, what: str, safe: str) -> OSError:
    return OSError(error.errno, f"{error.strerror or error}: {what}; {safe}: make room there or make it writable, then resume the run")


def _serialized(table: pa.Table) -> pa.Buffer:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue()
