"""SCUT-CTW1500 in all its forms, one file an image, 14 corners a line of text.

Old text files hold 32 numbers a line: a box, then corners relative to its top left. Those of the
later test set hold 28 numbers and `####` before the transcription, so that `#######` says "don't
care"; those of the evaluation 28 numbers and `CARE` or `###`. The later training set is XML.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence

import numpy as np

from evoray.data.parts.annotations.parts.coordinates import is_number, numbers, polygon
from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.regions import ImageRegions, TextRegion

_CORNERS, _BOX = 28, 4
_PREFIX, _DONT_CARE, _CARE = "####", "###", "CARE"


def fits(members: Sequence[Member]) -> bool:
    """True where the files are XML with segments, or all lines have one of the forms in text."""
    lines = 0
    for member in members:
        if member.suffix == ".xml":
            return all(b"<segs" in other.content for other in members)
        if member.suffix != ".txt":
            return False
        for _, line in member.lines():
            lines += 1
            words = line.split(",")
            if not all(is_number(word) for word in words[:_CORNERS]):
                return False
            behind = ",".join(words[_CORNERS:])
            old = len(words) == _CORNERS + _BOX and all(is_number(word) for word in words)
            if not (old or behind.strip() == _CARE or behind.startswith(_DONT_CARE)):
                return False
    return lines > 0


def read(members: Sequence[Member]) -> list[ImageRegions]:
    """The regions of each file.

    Raises:
        ValueError: A line or segment has another form; names file and line.
    """
    return [
        ImageRegions(
            member.image, tuple(_of_xml(member) if member.suffix == ".xml" else _of_text(member))
        )
        for member in members
    ]


def _of_text(member: Member) -> list[TextRegion]:
    regions = []
    for number, line in member.lines():
        where = f"{member.where}, line {number}"
        words = line.split(",", _CORNERS)
        if len(words) <= _CORNERS:
            raise ValueError(
                f"{where}: CTW1500 has {_CORNERS} coordinates and a text, or {_CORNERS + _BOX} "
                f"numbers, got {len(words)} fields"
            )
        values, behind = numbers(words[:_CORNERS], where), words[_CORNERS].strip()
        if behind.count(",") == _BOX - 1 and all(is_number(word) for word in behind.split(",")):
            values += numbers(behind.split(","), where)
            corners = polygon(values[_BOX:], where) + np.array(values[:2])
            regions.append(TextRegion(corners))
            continue
        prefixed = behind.startswith(_PREFIX)
        text = behind.removeprefix(_PREFIX) if prefixed else behind.removeprefix(_CARE)
        regions.append(TextRegion(polygon(values, where), text, text == _DONT_CARE))
    return regions


def _of_xml(member: Member) -> list[TextRegion]:
    text = member.text()
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError(
            f"{member.where}: annotations need no declarations of types or entities; remove them"
        )
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"{member.where}, line {error.position[0]}: no XML, {error}") from None
    regions = []
    for place, box in enumerate(root.iter("box"), start=1):
        where = f"{member.where}, box {place}"
        words = [word for word in (box.findtext("segs") or "").split(",") if word.strip()]
        if len(words) != _CORNERS:
            raise ValueError(f"{where}: its segs need {_CORNERS} coordinates, got {len(words)}")
        label = (box.findtext("label") or "").strip()
        regions.append(
            TextRegion(polygon(numbers(words, where), where), label, label == _DONT_CARE)
        )
    return regions
