"""The ledger: every finished evaluation, durable before it is used. A folder of Parquet parts, each
written whole or not at all.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evoray.files.checksums import sealed_table
from evoray.files.storage import Location, open_storage
from evoray.records.ledger_parts import (
    FAN_IN,
    Listing,
    Manifest,
    Part,
    Tables,
    gaps,
    read_part,
    told,
    write_part,
)
from evoray.records.records import Record, Records
from evoray.records.table import from_table, to_table, value_columns
from searchspaces.base import Keys

_log = logging.getLogger(__name__)
_SHARE = 0.05  # of the appending time that may go into the manifest
_READ_ATTEMPTS = (
    5  # of listing the parts again when compaction has replaced some of them under the reader
)


class Ledger(Protocol):
    """Durable list of a search's records, written before the search uses them; it holds one record
    a key.
    """

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
    """Ledger of a search that leaves no files; lost with the process."""

    def __init__(self, num_genes: int = 0) -> None:
        self._parts: list[Records] = []
        self._starts: list[int] = []
        self._rows: dict[bytes, int] = {}
        self._num_genes = num_genes

    def append(self, records: Sequence[Record]) -> None:
        if len(records) == 0:
            return
        columns, start = Records.of(records), len(self._rows)
        self._rows.update(
            zip(columns.keys.tolist(), range(start, start + len(columns)), strict=True)
        )
        if len(self._rows) != start + len(columns):
            raise ValueError(
                "these records have keys that are in the ledger already, or twice: a network is "
                "recorded once"
            )
        self._parts.append(columns)
        self._starts.append(start)

    def rows(self, keys: Keys) -> NDArray[np.int64]:
        known = self._rows
        return np.fromiter(
            (known.get(key, -1) for key in keys.tolist()), dtype=np.int64, count=len(keys)
        )

    def take(self, rows: NDArray[np.int64]) -> Records:
        if len(rows) == 0:
            return Records.of([], self._num_genes)
        of_part = np.searchsorted(self._starts, rows, side="right") - 1
        used = np.unique(of_part)
        found = Records.concat(
            [self._parts[p].take(rows[of_part == p] - self._starts[p]) for p in used]
        )
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

    Small parts are merged in the background: the merged file stands before the merged ones go, so a
    crash loses nothing. Every part carries a digest of its bytes; the manifest, written now and
    then and at the end, says how many records the parts must hold.
    """

    def __init__(self, location: Location, table_schema: pa.Schema) -> None:
        """Opens or makes the folder, a local path or a URI; sets damaged parts aside and becomes
        the one writer.

        Raises:
            RuntimeError: Another process writes to it.
            ValueError: The parts that are there have other columns.
        """
        self._storage = open_storage(location)
        self._schema = table_schema
        self._memory = MemoryLedger()
        self._manifest_written: Manifest | None = None
        self._merging: Future[None] | None = None
        self._merger = ThreadPoolExecutor(1, thread_name_prefix="ledger")
        try:
            self._unlock = self._storage.lock()
        except OSError as error:
            raise _unwritable(
                error,
                f"the ledger {self._storage.location} cannot be opened for writing",
                "nothing was changed",
            ) from None
        try:
            self._load()
        except BaseException:
            self._unlock()
            raise

    def _load(self) -> None:
        for left_over in self._storage.names(".part-"):
            self._storage.delete(left_over)
        before = Manifest.read(self._storage, set_aside=True)
        listing = Listing.of(self._storage)
        tables = Tables(self._storage, before, set_aside=True)
        self._parts = tables.add(listing.parts)
        table = tables.together(self._parts)
        if table is not None and table.schema.names != self._schema.names:
            if value_columns(table.schema) != value_columns(self._schema):
                raise ValueError(
                    f"{self._storage.location} has the columns {table.schema.names}, but this "
                    f"search writes {self._schema.names}: start a new run"
                )
            # of a version that timed other measurements
            self._schema = table.schema.remove_metadata()
        for part in listing.parts:
            if part not in self._parts and part not in tables.damaged:
                self._storage.delete(part.name)  # a crash came between merging and deleting
        missing = listing.missing(before)
        if missing:
            _log.warning(
                "ledger %s lacks %s: their evaluations will be repeated",
                self._storage.location,
                told(missing),
            )
        self._manifest = _manifest_of(before, tables, self._parts, listing.end(before))
        # What writing imports, pandas among it, is imported here: nothing slow may come between a
        # measurement and its durability.
        sealed_table(to_table([], self._schema))
        self._write_manifest()
        if table is not None:
            records = from_table(table)
            first = np.unique(records.keys, return_index=True)[1]
            self._memory.append(records.take(np.sort(first)))

    @property
    def schema(self) -> pa.Schema:
        """The columns of its table; of a ledger that was there, its own."""
        return self._schema

    def append(self, records: Sequence[Record]) -> None:
        """Writes the records as one part; when it returns they survive a crash of the process or
        the machine.

        Raises:
            OSError: They could not be written; none of them is in the ledger.
        """
        if len(records) == 0:
            return
        part = Part(self._manifest.appends, self._manifest.appends)
        records = _timed_as(Records.of(records), self._schema)
        try:
            write_part(self._storage, part, to_table(records, self._schema), self._manifest.ledger)
        except OSError as error:
            what = (
                f"{len(records)} finished evaluations could not be written to the ledger "
                f"{self._storage.location}"
            )
            raise _unwritable(error, what, "what was written before is safe") from None
        self._manifest = self._manifest.with_append(len(records))
        self._parts.append(part)
        self._memory.append(records)
        if time.monotonic() >= self._manifest_free_at:
            self._write_manifest()
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
        if self._manifest != self._manifest_written:
            self._write_manifest()
        self._unlock()

    def __enter__(self) -> FolderLedger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write_manifest(self) -> None:
        start = time.monotonic()
        try:
            self._manifest.write(self._storage)
            self._manifest_written = self._manifest
        except (OSError, RuntimeError) as error:  # the parts are there and whole
            _log.warning(
                "the manifest of ledger %s could not be written: %s", self._storage.location, error
            )
        self._manifest_free_at = time.monotonic() + (time.monotonic() - start) / _SHARE

    def _compact(self) -> None:
        """Starts merging when enough parts of one size stand beside each other, unless a merging is
        under way.
        """
        if self._merging is not None:
            if not self._merging.done():
                return
            self._merging = None
        start = _first_run([p.level for p in self._parts])
        if start is None:
            return
        small = self._parts[start : start + FAN_IN]
        merged = Part(small[0].first, small[-1].last)
        self._parts[start : start + FAN_IN] = [merged]
        self._merging = self._merger.submit(self._merge, small, merged)

    def _merge(self, parts: Sequence[Part], merged: Part) -> None:
        try:
            tables = [read_part(self._storage, part, self._manifest).table for part in parts]
            write_part(self._storage, merged, pa.concat_tables(tables), self._manifest.ledger)
            for part in parts:
                self._storage.delete(part.name)
        except (OSError, ValueError) as error:  # the small parts are still there and whole
            _log.warning(
                "ledger %s could not be compacted, it stays as it is: %s",
                self._storage.location,
                error,
            )


def read_ledger(location: Location) -> pa.Table | None:
    """Every readable part in the order of completion, also while a run goes on; None when there is
    none.

    A damaged or missing part is named in a warning and left out; nothing is changed.
    """
    storage = open_storage(location)
    manifest = Manifest.read(storage, set_aside=False)
    tables = Tables(storage, manifest, set_aside=False)
    before: Listing | None = None
    for _ in range(_READ_ATTEMPTS):
        listing = Listing.of(storage)
        missing = listing.missing(manifest)
        # A folder that changes while it is listed can show neither some small parts nor the merged
        # one that replaces them.
        if not missing or listing == before:
            try:
                table = tables.together(tables.add(listing.parts))
            except FileNotFoundError:
                continue
            if missing:
                _log.warning(
                    "%s",
                    _incomplete(
                        storage.location,
                        told(missing),
                        0 if table is None else len(table),
                        manifest,
                    ),
                )
            elif (
                manifest is None
                and tables.ids()
                and Manifest.read(storage, set_aside=False) is None
            ):
                _log.warning(
                    "ledger %s lacks its manifest: how many records there must be is not known",
                    storage.location,
                )
            return table
        before = listing
    raise RuntimeError(
        f"the ledger {storage.location} changes faster than it can be read: try again"
    )


def num_parts(location: Location) -> int:
    """Number of files that a ledger consists of at the moment."""
    return len(open_storage(location).names("part-"))


def _timed_as(records: Records, table_schema: pa.Schema) -> Records:
    """The records with those of their seconds that the table has columns for."""
    known = {
        name: column
        for name, column in records.seconds.items()
        if f"{name}_seconds" in table_schema.names
    }
    return records if len(known) == len(records.seconds) else replace(records, seconds=known)


def _first_run(levels: Sequence[int]) -> int | None:
    """Finds the place where `FAN_IN` equal levels begin."""
    length = 0
    for index, level in enumerate(levels):
        length = length + 1 if index and level == levels[index - 1] else 1
        if length == FAN_IN:
            return index - FAN_IN + 1
    return None


def _manifest_of(
    before: Manifest | None, tables: Tables, parts: Sequence[Part], appends: int
) -> Manifest:
    """Makes the manifest of what is there. Appends that no part holds are lost."""
    table, usual = tables.together(parts), tables.ids().most_common(1)
    whole = before or Manifest(
        usual[0][0] if usual else secrets.token_hex(8), unsealed=tables.unsealed(parts)
    )
    lost = gaps([part.span for part in parts], appends)
    return replace(
        whole, appends=appends, records=0 if table is None else len(table), lost=tuple(lost)
    )


def _incomplete(location: str, missing: str, records: int, manifest: Manifest | None) -> str:
    must = (
        ""
        if manifest is None
        else f" (it must hold {manifest.records} records, {records} are there)"
    )
    return (
        f"ledger {location} lacks {missing}{must}: restore it from a copy, or repeat its "
        "evaluations with `evoray resume`"
    )


def _unwritable(error: OSError, what: str, safe: str) -> OSError:
    return OSError(
        error.errno,
        f"{error.strerror or error}: {what}; {safe}: make room there or make it writable, then "
        "resume the run",
    )
