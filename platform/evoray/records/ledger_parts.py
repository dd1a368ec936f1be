"""The files of a ledger: which parts there are, which there must be, and what each holds."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from evoray.files.checksums import (
    SealedTable,
    sealed_json,
    sealed_table,
    typed,
    unsealed,
    unsealed_table,
)
from evoray.files.storage import Storage
from evoray.records.table import from_table

_log = logging.getLogger(__name__)
_PART = re.compile(r"part-(\d+)(?:-(\d+))?\.parquet")
_MANIFEST = "_manifest.json"  # other tools leave out names that begin so
FAN_IN = 32  # so many parts of one size are merged into one

Span = tuple[int, int]  # the appends from the first to the last, both within


@dataclass(frozen=True)
class Part:
    """One file of the ledger: what was written by the appends `first` to `last`."""

    first: int
    last: int

    @property
    def name(self) -> str:
        return (
            f"part-{self.first:08d}.parquet"
            if self.first == self.last
            else f"part-{self.first:08d}-{self.last:08d}.parquet"
        )

    @property
    def level(self) -> int:
        """The number of times that it was merged."""
        size, level = self.last - self.first + 1, 0
        while size >= FAN_IN:
            size, level = size // FAN_IN, level + 1
        return level

    @property
    def span(self) -> Span:
        return self.first, self.last

    @staticmethod
    def of(name: str) -> Part | None:
        match = _PART.fullmatch(name)
        return Part(int(match[1]), int(match[2] or match[1])) if match else None


@dataclass(frozen=True)
class Manifest:
    """The appends and records that there must be. It is written after the parts, so there may be
    more.

    Attributes:
        ledger: The ledger's id, which every part bears.
        appends: Number of appends that were made.
        records: Number of records that the parts must hold.
        unsealed: Number of the first appends that were written without a digest, by an older
            version.
        lost: Appends that are known to be lost: their evaluations are repeated.
    """

    ledger: str
    appends: int = 0
    records: int = 0
    unsealed: int = 0
    lost: tuple[Span, ...] = ()

    @staticmethod
    def read(storage: Storage, *, set_aside: bool) -> Manifest | None:
        """The manifest; None where there is none, or only a damaged one, which is named."""
        try:
            found: Manifest = typed(Manifest, unsealed(bytes(storage.read(_MANIFEST))))
            return found
        except FileNotFoundError:
            return None
        except (ValueError, OSError) as error:
            action = "how many records there must be is not known"
            if set_aside:
                storage.rename(_MANIFEST, f"_damaged{_MANIFEST}")
                action = "it was set aside and is written anew"
            _log.warning("%s/%s is damaged (%s): %s", storage.location, _MANIFEST, error, action)
            return None

    def write(self, storage: Storage) -> None:
        """Puts it in the place of the one before."""
        storage.write(_MANIFEST, pa.py_buffer(sealed_json(asdict(self)).encode()))

    def with_append(self, records: int) -> Manifest:
        """Manifest after one more append of so many records."""
        return replace(self, appends=self.appends + 1, records=self.records + records)


@dataclass(frozen=True)
class Listing:
    """The parts that were there at one moment, also those inside of merged ones, and what was set
    aside as damaged.
    """

    parts: tuple[Part, ...]
    set_aside: tuple[Part, ...]

    @staticmethod
    def of(storage: Storage) -> Listing:
        parts = map(Part.of, storage.names("part-"))
        damaged = (
            Part.of(name.removeprefix("_damaged-")) for name in storage.names("_damaged-part-")
        )
        return Listing(tuple(p for p in parts if p), tuple(p for p in damaged if p))

    def end(self, manifest: Manifest | None) -> int:
        """The number of the next append."""
        made = max((p.last for p in self.parts + self.set_aside), default=-1) + 1
        return max(made, 0 if manifest is None else manifest.appends)

    def missing(self, manifest: Manifest | None) -> list[Span]:
        """Appends of which nobody has told where their records are."""
        known = [p.span for p in self.parts + self.set_aside]
        return gaps([*known, *(() if manifest is None else manifest.lost)], self.end(manifest))


def gaps(covered: Iterable[Span], end: int) -> list[Span]:
    """Lists the spans of appends before `end` that no part covers."""
    found, expected = [], 0
    for first, last in sorted(covered):
        if first > expected:
            found.append((expected, first - 1))
        expected = max(expected, last + 1)
    return found if expected >= end else [*found, (expected, end - 1)]


def told(spans: Sequence[Span]) -> str:
    """Names of the parts of these appends, for messages."""
    return ", ".join(Part(*span).name for span in spans)


class Tables:
    """Parts that were read; they never change, so each is read once.

    Attributes:
        damaged: Parts that could not be read.
    """

    def __init__(self, storage: Storage, manifest: Manifest | None, *, set_aside: bool) -> None:
        self._storage = storage
        self._manifest = manifest
        self._set_aside = set_aside
        self._tables: dict[Part, SealedTable] = {}
        self.damaged: set[Part] = set()

    def add(self, parts: Sequence[Part]) -> list[Part]:
        """Reads the parts; returns those that hold everything once. In the place of a damaged
        merged one the small ones are taken.

        Raises:
            FileNotFoundError: One is not there any more.
        """
        while True:
            chosen = uncovered([p for p in parts if p not in self.damaged])
            missing = next((p for p in chosen if p not in self._tables), None)
            if missing is not None:
                self._read(missing)
                continue
            stranger = self._stranger(chosen)
            if stranger is None:
                return chosen
            self._damage(
                stranger,
                f"its columns are {self._tables[stranger].table.schema.names}, those of the others "
                "differ",
            )

    def together(self, parts: Sequence[Part]) -> pa.Table | None:
        """Joins the parts' rows one after the other; None for no parts."""
        return pa.concat_tables([self._tables[p].table for p in parts]) if parts else None

    def ids(self) -> Counter[str]:
        """Identities of the ledgers that the parts say they are of."""
        return Counter(
            str(t.about.get("ledger")) for t in self._tables.values() if t.about is not None
        )

    def unsealed(self, parts: Sequence[Part]) -> int:
        """The number after the last append that was written without a digest."""
        return max((p.last + 1 for p in parts if self._tables[p].about is None), default=0)

    def _stranger(self, parts: Sequence[Part]) -> Part | None:
        schemas = [self._tables[p].table.schema for p in parts]
        if not schemas or all(schema.equals(schemas[0]) for schema in schemas[1:]):
            return None
        usual = max(schemas, key=lambda schema: sum(map(schema.equals, schemas)))
        return next(p for p, schema in zip(parts, schemas, strict=True) if not schema.equals(usual))

    def _read(self, part: Part) -> None:
        try:
            self._tables[part] = read_part(self._storage, part, self._manifest)
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            self._damage(part, str(error))

    def _damage(self, part: Part, reason: str) -> None:
        self.damaged.add(part)
        if self._set_aside:
            self._storage.rename(part.name, f"_damaged-{part.name}")
        action = (
            "it was set aside; its evaluations will be repeated"
            if self._set_aside
            else "its evaluations are left out"
        )
        _log.warning(
            "ledger part %s/%s is damaged (%s): %s",
            self._storage.location,
            part.name,
            reason,
            action,
        )


def read_part(storage: Storage, part: Part, manifest: Manifest | None) -> SealedTable:
    """Reads one part.

    Raises:
        FileNotFoundError: It is not there.
        OSError: It cannot be read.
        ValueError: It is damaged, or is not the part that its name says.
    """
    found = unsealed_table(storage.read(part.name))
    if found.about is None:
        if manifest is not None and part.last >= manifest.unsealed:
            raise ValueError("it has no digest")
        _check(found.table)
        return found
    if (found.about.get("first"), found.about.get("last")) != part.span:
        raise ValueError("it was written under another name")
    if manifest is not None and found.about.get("ledger") != manifest.ledger:
        raise ValueError("it is of another ledger")
    return found


def write_part(storage: Storage, part: Part, table: pa.Table, ledger: str) -> None:
    """Writes a part with its digest.

    Raises:
        OSError: It could not be written; nothing has changed.
    """
    storage.write(
        part.name, sealed_table(table, {"ledger": ledger, "first": part.first, "last": part.last})
    )


def uncovered(parts: Sequence[Part]) -> list[Part]:
    """Leaves out the parts that are inside of a merged one; in the order of writing."""
    kept: list[Part] = []
    for part in sorted(parts, key=lambda p: (p.first, -p.last)):
        if not kept or part.last > kept[-1].last:
            kept.append(part)
    return kept


def _check(table: pa.Table) -> None:
    """Checks that a part without a digest holds records at all."""
    try:
        from_table(table)
    except (KeyError, TypeError, AttributeError, pa.ArrowException) as error:
        raise ValueError(str(error)) from None
