"""Storage: small files written whole or not at all, in a local folder or at any URI that pyarrow.fs
or fsspec opens.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyarrow import fs

from evoray.files.atomic import beside, open_to_append, replacing
from evoray.files.lease import Beating, Lease

_BEAT_SECONDS = 2.0  # between two signs of life of a lease's owner
# of fsspec: s3fs writes under If-None-Match, gcsfs under ifGenerationMatch=0, adlfs without
# overwrite
_EXCLUSIVE = {"s3", "s3a", "gs", "gcs", "abfs", "az", "memory"}

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
        """Writes a file, durable when this returns; a reader sees the old file or the whole new
        one.

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
    """A folder in an object store or any other file system; its one writer holds a `Lease` that it
    renews every two seconds.

    Whether an owner still lives is seen by its renewals alone, never by comparing clocks.
    """

    def __init__(self, uri: str, filesystem: fs.FileSystem, folder: str) -> None:
        self._uri = uri
        self._fs = filesystem
        self._folder = folder
        self._held: Beating | None = None
        self._exclusive = _exclusive(filesystem)
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
        """Writes as `Storage.write` does.

        Raises:
            RuntimeError: This process was the one writer, but seemed dead for so long that another
                one took its place.
        """
        if self._held is not None and self._held.lease.is_lost:
            raise _taken(self.location)
        self.put(name, data)

    def read(self, name: str) -> pa.Buffer:
        with self._fs.open_input_stream(self._path(name)) as stream:
            return pa.py_buffer(stream.read())

    def rename(self, old: str, new: str) -> None:
        self._fs.move(self._path(old), self._path(new))

    def delete(self, name: str) -> None:
        if name in self.names(name):
            self._fs.delete_file(self._path(name))

    def lock(self) -> Callable[[], None]:
        lease = Lease(self, _BEAT_SECONDS, time.sleep)
        if not lease.take():
            raise _taken(self.location)
        self._held = Beating(lease, _BEAT_SECONDS)

        def give_up() -> None:
            if self._held is not None:
                self._held.release()
            self._held = None

        return give_up

    @property
    def creates_exclusively(self) -> bool:
        """True where the store itself makes a file only if none is there: those that fsspec opens
        and that are known to. pyarrow's own offer no such write.
        """
        return self._exclusive is not None

    def create(self, name: str, data: pa.Buffer) -> None:
        assert self._exclusive is not None
        self._make_folder()
        self._exclusive.pipe_file(self._path(name), bytes(data), mode="create")

    def put(self, name: str, data: pa.Buffer) -> None:
        """Writes a file whole, whoever the writer is."""
        self._make_folder()
        target = name if self._appears_whole else beside(Path(name)).name
        with self._fs.open_output_stream(self._path(target)) as stream:
            stream.write(data)
        if target != name:
            self.rename(target, name)

    def _make_folder(self) -> None:
        if not self._is_made:
            self._fs.create_dir(self._folder, recursive=True)
            self._is_made = True

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"


def _taken(location: str) -> RuntimeError:
    return RuntimeError(
        f"another process is writing to {location}: wait until it ends, or end it, before resuming "
        "this run"
    )


def _exclusive(filesystem: fs.FileSystem) -> Any:  # Any: an fsspec file system
    """The fsspec file system below, where it creates a file in one step of the store; else None."""
    handler = getattr(filesystem, "handler", None)
    below = getattr(handler, "fs", None)
    protocols = getattr(below, "protocol", ())
    names = {protocols} if isinstance(protocols, str) else set(protocols)
    return below if names & _EXCLUSIVE else None


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
