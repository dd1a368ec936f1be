"""Digests of data sets: the same data elsewhere has the same one, other data under the same name
has not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_THREADS = 8  # reading waits for the disk, and hashlib lets others run


@dataclass(frozen=True)
class Contents:
    """The content of a data set that is read.

    Attributes:
        digest: SHA-256 of names, sizes and bytes, in hexadecimal.
        files: Number of files.
        size: Bytes of all files.
    """

    digest: str
    files: int
    size: int


def of_files(
    named: Iterable[tuple[str, Path]], unread: Iterable[tuple[str, Path]] = ()
) -> Contents:
    """Digests files by the names that they have in the data set, whose order does not matter; of
    `unread` ones names and sizes count.
    """
    pairs, apart = sorted(named), sorted(unread)
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = list(pool.map(_digest, [path for _, path in pairs]))
    sizes = [path.stat().st_size for _, path in (*pairs, *apart)]
    words = [name for name, _ in (*pairs, *apart)]
    whole = hashlib.sha256()
    for name, size, digest in zip(words, sizes, [*digests, *[b""] * len(apart)], strict=True):
        whole.update(f"{len(name.encode('utf-8', 'surrogateescape'))}:{size}:".encode())
        whole.update(name.encode("utf-8", "surrogateescape") + digest)
    return Contents(whole.hexdigest(), len(sizes), sum(sizes))


def of_arrays(arrays: Iterable[NDArray[np.generic]]) -> Contents:
    """Digests data that is no files of its own."""
    whole, count, size = hashlib.sha256(), 0, 0
    for array in arrays:
        whole.update(f"{array.dtype.str}{array.shape}".encode())
        whole.update(np.ascontiguousarray(array).tobytes())
        count, size = count + 1, size + array.nbytes
    return Contents(whole.hexdigest(), count, size)


def _digest(file: Path) -> bytes:
    """Nothing of a file that may not be read, which whoever reads the pictures will name."""
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return b""
