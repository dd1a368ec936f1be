"""Storage: small files written whole or not at all, in a local folder or at any URI that pyarrow.fs
or fsspec opens.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from evoray.files.atomic import beside, open_to_append, replacing

_BEAT_SECONDS = 2.0  # between two signs of life of a lease's owner
_LEASE = ".lease"
_BEATS_AWAITED = 4  # without one, the owner counts as dead

Location = str | os.PathLike[str]


class Storage(Protocol):
    """One folder of files."""

    @property
    def location(self) -> str:
        """Path or URI, for messages."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Names of its files that begin with `prefix`, sorted."""
        ...

    def write(self, name: str, data: pa.Buffer) -> None:
        """When it returns the file is durable; a reader sees the old file or the whole new one.

        Raises:
            OSError: It could not be written; nothing has changed.
        """
        ...

    def read(self, name: str) -> pa.Buffer: ...

    def rename(self, old: str, new: str) -> None: ...

    def delete(self, name: str) -> None: ...

    def lock(self) -> Callable[[], None]:
        """Makes this process the one writer; returns what gives that up.

        Raises:
            RuntimeError: Another process is the writer.
        """
        ...


def open_storage(location: Location) -> Storage:
    """The folder at a path or a URI; it is made when something is written, never for reading.

    Raises:
        ValueError: The URI's scheme is not known.
        OSError: The file system cannot be reached.
    """
    text = os.fspath(location)
    if "://" not in text:
        return LocalStorage(Path(text))
    parts = urlsplit(text)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost"):
            raise ValueError(
                f"cannot open {text!r}: a file URI has three slashes and an absolute path, such as "
                "file:///data/run"
            )
        return LocalStorage(Path(unquote(parts.path)))
    return ArrowStorage(text, *_filesystem(text))


class LocalStorage:
    """A local folder: written beside, flushed to the disk, renamed into place; locked by the
    operating system.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def location(self) -> str:
        return str(self._folder)

    def names(self, prefix: str) -> list[str]:
        try:
            return sorted(
                entry.name
                for entry in os.scandir(self._folder)
                if entry.name.startswith(prefix) and entry.is_file()
            )
        except FileNotFoundError:
            return []

    def write(self, name: str, data: pa.Buffer) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._folder / name) as stream:
            stream.write(data)

    def read(self, name: str) -> pa.Buffer:
        return pa.py_buffer((self._folder / name).read_bytes())

    def rename(self, old: str, new: str) -> None:
        os.replace(self._folder / old, self._folder / new)

    def delete(self, name: str) -> None:
        (self._folder / name).unlink(missing_ok=True)

    def lock(self) -> Callable[[], None]:
        self._folder.mkdir(parents=True, exist_ok=True)
        stream = open_to_append(self._folder / ".lock")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise _taken(self.location) from None
        return stream.close


class ArrowStorage:
    """A folder in an object store or any other file system; its one writer holds a lease that it
    renews every two seconds.

    Whether an owner still lives is seen by its renewals alone, never by comparing clocks.
    """

    def __init__(self, uri: str, filesystem: fs.FileSystem, folder: str) -> None:
        self._uri = uri
        self._fs = filesystem
        self._folder = folder
        self._held: _Lease | None = None
        self._is_made = False
        # An object appears whole when its upload ends; elsewhere a half-written file would be seen.
        self._appears_whole = filesystem.type_name in ("s3", "gcs", "abfs")

    @property
    def location(self) -> str:
        return self._uri

    def names(self, prefix: str) -> list[str]:
        selector = fs.FileSelector(self._folder, allow_not_found=True)
        return sorted(
            i.base_name
            for i in self._fs.get_file_info(selector)
            if i.is_file and i.base_name.startswith(prefix)
        )

    def write(self, name: str, data: pa.Buffer) -> None:
        """As `Storage.write`.

        Raises:
            RuntimeError: This process was the one writer, but seemed dead for so long that another
                one took its place.
        """
        if self._held is not None and self._held.is_lost:
            raise _taken(self.location)
        self._put(name, data)

    def read(self, name: str) -> pa.Buffer:
        with self._fs.open_input_stream(self._path(name)) as stream:
            return pa.py_buffer(stream.read())

    def rename(self, old: str, new: str) -> None:
        self._fs.move(self._path(old), self._path(new))

    def delete(self, name: str) -> None:
        if name in self.names(name):
            self._fs.delete_file(self._path(name))

    def lock(self) -> Callable[[], None]:
        if self._lease() is not None and self._is_alive():
            raise _taken(self.location)
        lease = _Lease(self._put, self._lease)
        time.sleep(
            _BEAT_SECONDS / 2
        )  # two that begin at once both see no lease: the one that writes last has it
        if not lease.is_current():
            lease.close()
            raise _taken(self.location)
        self._held = lease

        def give_up() -> None:
            if lease.close():
                self.delete(_LEASE)
            self._held = None

        return give_up

    def _put(self, name: str, data: pa.Buffer) -> None:
        if not self._is_made:
            self._fs.create_dir(self._folder, recursive=True)
            self._is_made = True
        target = name if self._appears_whole else beside(Path(name)).name
        with self._fs.open_output_stream(self._path(target)) as stream:
            stream.write(data)
        if target != name:
            self.rename(target, name)

    def _is_alive(self) -> bool:
        before = self._lease()
        for _ in range(_BEATS_AWAITED):
            time.sleep(_BEAT_SECONDS)
            if self._lease() != before:
                return True
        return False

    def _lease(self) -> str | None:
        try:
            return bytes(self.read(_LEASE)).decode()
        except FileNotFoundError:
            return None

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


class _Lease:
    """Writes a new sign of life until it is closed, or until it finds another's in its place.

    Attributes:
        is_lost: Another owner was found.
    """

    def __init__(
        self, put: Callable[[str, pa.Buffer], None], current: Callable[[], str | None]
    ) -> None:
        self._put = put
        self._current = current
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex}"
        self._stop = threading.Event()
        self.is_lost = False
        self._beat(0)
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def is_current(self) -> bool:
        """Whether the lease that stands there is this one."""
        text = self._current()
        return (
            text is not None and self._owner in text
        )  # not parsed: where files do not appear whole, half of one may be read

    def close(self) -> bool:
        """Stops renewing; whether the lease that stands there is still this one."""
        self._stop.set()
        self._thread.join()
        return self.is_current()

    def _beat(self, number: int) -> None:
        self._put(_LEASE, pa.py_buffer(json.dumps({"owner": self._owner, "beat": number}).encode()))

    def _renew(self) -> None:
        number = 0
        while not self._stop.wait(_BEAT_SECONDS):
            number += 1
            try:
                if not self.is_current() and self._current() is not None:
                    self.is_lost = True
                    return
                self._beat(number)
            except OSError:
                # the next beat tries again; the ledger's own writes report a store that is gone
                continue


def _taken(location: str) -> RuntimeError:
    return RuntimeError(
        f"another process is writing to {location}: wait until it ends, or end it, before resuming "
        "this run"
    )


def _filesystem(uri: str) -> tuple[fs.FileSystem, str]:
    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
        return filesystem, path
    except pa.ArrowInvalid:
        pass
    import fsspec  # only for schemes that Arrow itself does not know

    try:
        # What another process has written since must be seen: no listing is remembered.
        handler: Any = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise ValueError(
            f"cannot open {uri!r} ({error}): give a local folder, or a URI of pyarrow.fs or fsspec "
            "such as s3://bucket/run"
        ) from None
    return fs.PyFileSystem(fs.FSSpecHandler(handler[0])), handler[1].rstrip("/")
