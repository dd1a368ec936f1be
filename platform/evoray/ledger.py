"""The ledger: every finished evaluation, durable before it is used. A folder of small Parquet files, each written whole or not at all."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from evoray.records import Record, from_table, to_table
from evoray.run_folder import sync_folder

_log = logging.getLogger(__name__)


class Ledger(Protocol):
    """Where a search writes its records before it uses them."""

    @property
    def records(self) -> Mapping[str, Record]:
        """Every record by key, in the order of completion."""
        ...

    def append(self, records: Sequence[Record]) -> None:
        """When it returns the records are kept, as safely as this ledger can."""
        ...


class MemoryLedger:
    """For a search that leaves no files; lost with the process."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}

    def append(self, records: Sequence[Record]) -> None:
        self.records.update({record.key: record for record in records})


class FolderLedger:
    """The one writer of a ledger folder. Use it as a context manager, or call `close()`.

    Attributes:
        folder: Where the parts are.
        records: Every record in the order of completion, read back at opening; one a key.
    """

    def __init__(self, folder: Path, schema: pa.Schema) -> None:
        """Opens or makes the folder, sets damaged parts aside and takes the lock.

        Raises:
            RuntimeError: Another process writes to it.
            ValueError: The parts that are there have other columns.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._schema = schema
        self._lock = _lock(folder)
        table = read_ledger(folder, set_aside=True)
        if table is not None and table.schema.names != schema.names:
            self.close()
            raise ValueError(f"{folder} has the columns {table.schema.names}, but this search writes {schema.names}: start a new run")
        self.records: dict[str, Record] = {}
        for record in from_table(table) if table is not None else ():
            self.records.setdefault(record.key, record)
        numbers = [int(part.stem.rpartition("-")[2]) for part in folder.glob("*part-*.parquet")]
        self._next_part = max(numbers, default=-1) + 1

    def append(self, records: Sequence[Record]) -> None:
        """Writes the records as one part; when it returns they survive a crash of the process or the machine.

        Raises:
            OSError: They could not be written; none of them is in the ledger.
        """
        if not records:
            return
        part = self.folder / f"part-{self._next_part:08d}.parquet"
        temporary = part.with_name(f".{part.name}.tmp")
        try:
            with temporary.open("wb") as stream:
                pq.write_table(to_table(records, self._schema), stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, part)
            sync_folder(self.folder)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        self._next_part += 1
        self.records.update({record.key: record for record in records})

    def close(self) -> None:
        """Gives the lock back."""
        self._lock.close()

    def __enter__(self) -> FolderLedger:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def read_ledger(folder: Path, *, set_aside: bool = False) -> pa.Table | None:
    """Every readable part in the order of completion, also while a run goes on; None when there is none.

    A damaged part is named in a warning and left out; with `set_aside` it is renamed to "damaged-part-...", so that it is met once.
    """
    tables = []
    for part in sorted(folder.glob("part-*.parquet")):
        try:
            tables.append(pq.ParquetFile(part).read())
        except (pa.ArrowException, OSError) as error:
            if set_aside:
                part.rename(part.with_name(f"damaged-{part.name}"))
            action = "it was set aside; its evaluations will be repeated" if set_aside else "its evaluations are left out"
            _log.warning("ledger part %s is damaged (%s): %s", part, str(error).splitlines()[0], action)
    return pa.concat_tables(tables) if tables else None


def _lock(folder: Path) -> IO[str]:
    stream = (folder / ".lock").open("w")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        raise RuntimeError(f"another process is writing to {folder}: wait until it ends, or end it, before resuming this run") from None
    return stream
