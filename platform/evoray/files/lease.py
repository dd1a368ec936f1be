"""The lease of a folder's one writer, for stores without locks: whoever holds the newest of
numbered files is the writer, and shows that it lives by changing it.

A dead writer's lease is not taken away but followed by the next number, so what it still writes
when it wakes up is older than its successor's. Where a store creates a file only if none is there,
two that follow the same lease at once cannot both succeed. Elsewhere the one that writes last has
it, and the other may take itself for the writer until its next sign of life.
"""

from __future__ import annotations

import json
import os
import re
import threading
import uuid
from collections.abc import Callable
from typing import Protocol

import pyarrow as pa

BEATS_AWAITED = 4  # without a sign of life, the owner counts as dead
_NAME = ".lease"  # without a number: of versions that had one file
_NUMBERED = re.compile(r"\.lease(?:-(\d+))?")
_RELEASED = "released"


class Store(Protocol):
    """The folder in which leases stand."""

    @property
    def creates_exclusively(self) -> bool:
        """True where `create` is one step of the store itself."""
        ...

    def names(self, prefix: str) -> list[str]: ...

    def read(self, name: str) -> pa.Buffer: ...

    def put(self, name: str, data: pa.Buffer) -> None:
        """Writes the file, which may be there."""
        ...

    def create(self, name: str, data: pa.Buffer) -> None:
        """
        Raises:
            FileExistsError: It is there.
        """
        ...

    def delete(self, name: str) -> None: ...


class Lease:
    """One claim to be the writer."""

    def __init__(self, store: Store, beat_seconds: float, sleep: Callable[[float], object]) -> None:
        """`sleep` waits for so many seconds."""
        self._store = store
        self._beat_seconds = beat_seconds
        self._sleep = sleep
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex}"
        self._name = ""
        self._number_of_beats = 0
        self.is_lost = False

    def take(self) -> bool:
        """Becomes the writer; False where another one lives, or was quicker."""
        newest = self._newest()
        if newest is not None and self._is_alive(newest):
            return False
        self._name = f"{_NAME}-{_number_of(newest) + 1:08d}"
        if self._store.creates_exclusively:
            try:
                self._store.create(self._name, self._text())
            except FileExistsError:
                return False
        else:
            self._store.put(self._name, self._text())
            self._sleep(self._beat_seconds / 2)  # two that begin at once both saw the one before
            if not self.is_current():
                return False
        for name in self._names():
            if _number_of(name) < _number_of(self._name):
                self._store.delete(name)
        return True

    def is_current(self) -> bool:
        """True where the newest lease is this one."""
        if self._newest() != self._name:
            return False
        text = self._read(self._name)
        # not parsed: where files do not appear whole, half of one may be read
        return text is not None and self._owner in text

    def beat(self) -> None:
        """Shows a sign of life, or finds out that another is the writer."""
        if self.is_lost or not self.is_current():
            self.is_lost = True
            return
        self._number_of_beats += 1
        self._store.put(self._name, self._text())

    def release(self) -> None:
        """Lets the next one write without waiting. The file stays: numbers are not used again."""
        if self.is_current():
            self._store.put(self._name, pa.py_buffer(_RELEASED.encode()))

    def _is_alive(self, name: str) -> bool:
        before = self._read(name)
        if before == _RELEASED:
            return False
        for _ in range(BEATS_AWAITED):
            self._sleep(self._beat_seconds)
            if self._newest() != name or self._read(name) != before:
                return True
        return False

    def _text(self) -> pa.Buffer:
        beat = {"owner": self._owner, "beat": self._number_of_beats}
        return pa.py_buffer(json.dumps(beat).encode())

    def _newest(self) -> str | None:
        return max(self._names(), key=_number_of, default=None)

    def _names(self) -> list[str]:
        return [name for name in self._store.names(_NAME) if _NUMBERED.fullmatch(name)]

    def _read(self, name: str) -> str | None:
        try:
            return bytes(self._store.read(name)).decode()
        except FileNotFoundError:
            return None


class Beating:
    """A lease that is kept alive in the background until it is released."""

    def __init__(self, lease: Lease, beat_seconds: float) -> None:
        self.lease = lease
        self._beat_seconds = beat_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Ends the signs of life, and the lease where it is still this one."""
        self._stop.set()
        self._thread.join()
        self.lease.release()

    def _renew(self) -> None:
        while not self._stop.wait(self._beat_seconds) and not self.lease.is_lost:
            try:
                self.lease.beat()
            except OSError:
                # the next beat tries again; the ledger's own writes report a store that is gone
                continue


def _number_of(name: str | None) -> int:
    found = _NUMBERED.fullmatch(name or "")
    return int(found[1] or 0) if found else 0
