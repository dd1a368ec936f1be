"""Images with their texts as annotated and as found: texts/ in a run folder, with texts.json and
the JPEG files that it lists, and the report's section of them.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, PositiveInt, with_config
from typing_extensions import TypedDict

from evoray.files.atomic import replace_bytes
from evoray.records.run_files import read_optional
from evoray.records.run_folder import RunFolder, write_json
from evoray.report.markup import SECTIONS
from evoray.report.pictures import read_file
from evoray.report.reading import RunView
from evoray.report.sections import Section

_log = logging.getLogger(__name__)

MOST_PICTURES = 12
MOST_BYTES = 2 << 20  # of all of them
_JPEG = b"\xff\xd8\xff"
_TEXT = (
    "Annotated texts, rectangles of the first look and polygons of both, on images that the search "
    "has not trained on. Regions that do not count are dashed."
)

# Strict checks of JSON take no list for a tuple, so a point is a list of two.
_Point = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]
_Points = list[_Point]


@with_config(strict=True)
class _Truth(TypedDict):
    points: _Points
    ignored: bool


@with_config(strict=True)
class _Picture(TypedDict):
    file: str
    digest: str
    name: str
    width: PositiveInt
    height: PositiveInt
    truth: list[_Truth]
    rectangles: list[_Points]
    polygons: list[_Points]


@with_config(strict=True)
class Texts(TypedDict):
    """texts.json."""

    key: str
    values: dict[str, FiniteFloat]
    pictures: list[_Picture]


def text_place(folder: RunFolder, name: str) -> Path:
    """The file of a picture, or of the list.

    Raises:
        ValueError: `name` is no name of a file.
    """
    return folder.inside("texts", name)


def write_texts(
    folder: RunFolder,
    key: str,
    values: Mapping[str, float],
    pictures: Sequence[tuple[bytes, Mapping[str, Any]]],  # Any: JSON
) -> None:
    """Writes the list and the pictures that the section shows.

    Args:
        folder: Folder of the run.
        key: Key of the network.
        values: Measured values of the network, by name.
        pictures: JPEG bytes, and what `texts.json` says of each beside its file and digest; those
            beyond the limits are left out.
    """
    listed, total = [], 0
    place = text_place(folder, "texts.json")
    place.parent.mkdir(parents=True, exist_ok=True)
    for number, (content, about) in enumerate(pictures[:MOST_PICTURES]):
        total += len(content)
        if total > MOST_BYTES:
            break
        name = f"{number:02d}.jpg"
        replace_bytes(text_place(folder, name), content)
        listed.append({"file": name, "digest": hashlib.sha256(content).hexdigest(), **about})
    write_json(place, {"key": key, "values": dict(values), "pictures": listed})


def text_sections(folder: RunFolder, run: RunView) -> Iterator[Section]:
    """The pictures, each kind of outline to be switched off; no more than are written, for the list
    may be somebody else's.
    """
    texts = read_optional(text_place(folder, "texts.json"), Texts)
    shown, total = [], 0
    for one in (texts or {}).get("pictures", [])[:MOST_PICTURES]:
        content = _listed(folder, one)
        total += len(content or b"")
        if total > MOST_BYTES:
            break
        if content is not None:
            shown.append(_shown(one, content))
    if texts and shown:
        values = ", ".join(f"{name} {value:.1f} %" for name, value in texts["values"].items())
        note = SECTIONS.note(f"{_TEXT} Network {texts['key']}: {values}.")
        yield Section("Texts found", [SECTIONS.texts(shown), note])


def _listed(folder: RunFolder, picture: Mapping[str, Any]) -> bytes | None:
    """The file; None where it is not the one listed, which is named."""
    content = read_file(lambda: text_place(folder, picture["file"]), _JPEG)
    if content is not None and hashlib.sha256(content).hexdigest() == picture["digest"]:
        return content
    _log.warning(
        "picture %r of run %s is left out: it is not there, damaged, or no JPEG file of this "
        "folder",
        picture["file"],
        folder.path,
    )
    return None


def _shown(picture: Mapping[str, Any], content: bytes) -> dict[str, Any]:
    """Arguments of the template: the picture in base64, outlines as SVG has them."""
    return {
        **picture,
        "jpeg": base64.b64encode(content).decode(),
        "truth": [(_points(one["points"]), one["ignored"]) for one in picture["truth"]],
        "rectangles": [_points(one) for one in picture["rectangles"]],
        "polygons": [_points(one) for one in picture["polygons"]],
    }


def _points(polygon: Sequence[Sequence[float]]) -> str:
    """An SVG polygon's `points`."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in polygon)
