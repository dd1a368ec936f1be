"""Lines `x1,y1,...,xn,yn,transcription` of any number of corners, one file an image: how Total-Text
circulates as text, and our own choice for anything else. `###` says "don't care".
"""

from __future__ import annotations

from collections.abc import Sequence

from evoray.data.parts.annotations.parts.coordinates import is_number, region, split_text
from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.regions import ImageRegions, TextRegion

_DONT_CARE = "###"


def fits(members: Sequence[Member]) -> bool:
    """True where every line has corners and a text: not four everywhere, none of CTW1500's forms,
    and not numbers alone, as detections have them. Files without any line are of this form.
    """
    lengths, texts, bare = set(), set(), set()
    for member in members:
        if member.suffix != ".txt":
            return False
        for number, line in member.lines():
            try:
                coordinates, text = split_text(line, f"{member.where}, line {number}")
            except ValueError:
                return False
            words = line.split(",")
            lengths.add(len(coordinates))
            texts.add(text)
            bare.add(len(words) % 2 == 0 and all(map(is_number, words)))
    of_ctw1500 = lengths == {28} and all(text == "CARE" or text[:3] == "###" for text in texts)
    return lengths != {8} and not of_ctw1500 and bare != {True}


def read(members: Sequence[Member]) -> list[ImageRegions]:
    """The regions of each file; "don't care" ones of fewer than three corners are left out.

    Raises:
        ValueError: A line has another form; names file and line.
    """
    return [ImageRegions(member.image, tuple(_regions(member))) for member in members]


def _regions(member: Member) -> list[TextRegion]:
    found = []
    for number, line in member.lines():
        where = f"{member.where}, line {number}"
        coordinates, text = split_text(line, where)
        found.append(region(coordinates, text, text == _DONT_CARE, where))
    return [one for one in found if one is not None]
