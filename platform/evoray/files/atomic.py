"""Files replaced whole or not at all: written beside, flushed to the disk, renamed into place, and
never through a link.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_BESIDE = ".*.tmp"


@contextmanager
def replacing(file: Path) -> Iterator[BinaryIO]:
    """A stream to what takes the place of `file`, durably, when the block ends well; when it does
    not, nothing has changed.

    The temporary file has a name that nobody can foresee and is opened only if nothing is there, so
    no link that somebody has prepared is followed; a link in the place of `file` itself is
    replaced.

    Raises:
        OSError: It cannot be written.
    """
    temporary = beside(file)
    handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with os.fdopen(handle, "wb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # a sign of life for `remove_left_overs`
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(temporary, file)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def replace_text(file: Path, text: str) -> None:
    """Replaces a file, as `replacing` does, by this text in UTF-8."""
    replace_bytes(file, text.encode())


def replace_bytes(file: Path, data: bytes) -> None:
    """Replaces a file, as `replacing` does, by these bytes."""
    with replacing(file) as stream:
        stream.write(data)


def beside(file: Path) -> Path:
    """A name beside `file` that is hidden and that nobody can foresee, for what shall take its
    place.
    """
    return file.with_name(f".{file.name}.{secrets.token_hex(8)}.tmp")


def remove_left_overs(folder: Path) -> None:
    """Removes the temporary files that crashed processes have left in `folder` and below; those
    being written stay.
    """
    for file in folder.rglob(_BESIDE):
        try:
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:  # a link, or gone
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.is_file():
                file.unlink(missing_ok=True)
        except BlockingIOError:
            continue
        finally:
            os.close(handle)


def open_to_append(file: Path) -> BinaryIO:
    """`file`, made if need be, to append to.

    Raises:
        OSError: It cannot be opened, or is a link.
    """
    handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    return os.fdopen(handle, "ab")


def sync_folder(folder: Path) -> None:
    """Makes renames inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
