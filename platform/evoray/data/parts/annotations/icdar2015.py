"""ICDAR 2015, task 4.1: `gt_img_N.txt` of lines `x1,y1,x2,y2,x3,y3,x4,y4,transcription`, where the
transcription may hold commas and `###` says "don't care".
"""

from __future__ import annotations

from collections.abc import Sequence

from evoray.data.parts.annotations.parts.coordinates import numbers, polygon, split_text
from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.regions import ImageRegions, TextRegion

_FIELDS = 8
_DONT_CARE = "###"


def fits(members: Sequence[Member]) -> bool:
    """True where every line has four corners and a text."""
    lines = 0
    for member in members:
        if member.suffix != ".txt":
            return False
        for number, line in member.lines():
            lines += 1
            try:
                coordinates, _ = split_text(line, f"{member.where}, line {number}")
            except ValueError:
                return False
            if len(coordinates) != _FIELDS:
                return False
    return lines > 0


def read(members: Sequence[Member]) -> list[ImageRegions]:
    """The regions of each file.

    Raises:
        ValueError: A line has another form; names file and line.
    """
    return [ImageRegions(member.image, tuple(_regions(member))) for member in members]


def _regions(member: Member) -> list[TextRegion]:
    regions = []
    for number, line in member.lines():
        where = f"{member.where}, line {number}"
        words = line.split(",", _FIELDS)
        if len(words) <= _FIELDS:
            raise ValueError(
                f"{where}: ICDAR 2015 has {_FIELDS} coordinates and a text, got {len(words)} fields"
            )
        corners = polygon(numbers(words[:_FIELDS], where), where)
        text = words[_FIELDS].strip()
        regions.append(TextRegion(corners, text, text == _DONT_CARE))
    return regions
