"""Pictures that the report of a run shows: pictures/ in its folder, with pictures.json, which says
of each its file, digest, title, kind and caption.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from evoray.records.run_files import Pictures, read_optional
from evoray.records.run_folder import RunFolder, write_json

_log = logging.getLogger(__name__)

_LARGEST_BYTES = 16 << 20
_PNG = b"\x89PNG\r\n\x1a\n"


def picture_place(folder: RunFolder, name: str) -> Path:
    """The file of a picture.

    Raises:
        ValueError: `name` is no name of a file.
    """
    return folder.inside("pictures", name)


def listed(folder: RunFolder, name: str, about: Mapping[str, str]) -> dict[str, str]:
    """The line of pictures.json of a picture that is there, with its title, kind and caption."""
    digest = hashlib.sha256(picture_place(folder, name).read_bytes()).hexdigest()
    return {"file": name, "digest": digest, **about}


def write_list(folder: RunFolder, lines: Iterable[Mapping[str, str]]) -> None:
    """Writes pictures.json."""
    write_json(picture_place(folder, "pictures.json"), {"pictures": [dict(line) for line in lines]})


def read_pictures(folder: RunFolder) -> list[dict[str, Any]]:  # Any: JSON
    """The lines of pictures.json with the picture itself, base64, as "png"; one that is not as
    listed is left out and named.
    """
    lines = (read_optional(picture_place(folder, "pictures.json"), Pictures) or {}).get("pictures")
    found = []
    for line in lines or []:
        name = str(line.get("file", ""))
        png = read_file(lambda name=name: picture_place(folder, name), _PNG)  # type: ignore[misc]
        if png is None or ("digest" in line and hashlib.sha256(png).hexdigest() != line["digest"]):
            _log.warning(
                "picture %r of run %s is left out: it is not there, damaged, or no PNG file of "
                "this folder",
                line.get("file"),
                folder.path,
            )
        else:
            found.append({**line, "png": base64.b64encode(png).decode()})
    return found


def read_file(place: Callable[[], Path], beginning: bytes) -> bytes | None:
    """The picture at a place; None where it is not there, does not begin as such pictures do, is
    too big, or not in the folder.

    Args:
        place: Raises ValueError where a name leads out of the folder.
        beginning: First bytes of every such file.
    """
    try:
        handle = os.open(place(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # waits for no pipe
    except (ValueError, OSError):
        return None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST_BYTES:
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as stream:
        content = stream.read(_LARGEST_BYTES)
    return content if content.startswith(beginning) else None
