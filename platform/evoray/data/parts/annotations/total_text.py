"""Total-Text as published: `poly_gt_imgN.mat` in both layouts, and text files of records
`x: [[...]], y: [[...]], ornt: [u'c'], transcriptions: [u'PAUL']`. The orientation `#` says "don't
care". Total-Text as lines of coordinates is `polygons`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from evoray.data.parts.annotations.parts.coordinates import numbers, region
from evoray.data.parts.annotations.parts.matlab import variables, word
from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.regions import ImageRegions, TextRegion

_VARIABLES = ("polygt", "gt")  # row vectors; column vectors, of the second layout
_COLUMNS = 6
_RECORD = re.compile(
    r"x:\s*\[\[(?P<x>[^\]]*)\]\]\s*,\s*y:\s*\[\[(?P<y>[^\]]*)\]\]\s*,\s*"
    r"ornt:\s*\[(?P<ornt>[^\]]*)\]\s*,\s*transcriptions:\s*\[(?P<text>.*)\]\s*,?\s*",
    re.DOTALL,
)
_BEGIN = re.compile(r"x:\s*\[\[")
_DONT_CARE = "#"


def fits(members: Sequence[Member]) -> bool:
    """True where the files are MATLAB's with one of the two variables, or text of such records."""
    if all(member.suffix == ".mat" for member in members):
        return bool(set(variables(members[0])) & set(_VARIABLES))
    texts = [member.text().strip() for member in members if member.suffix == ".txt"]
    some = [text for text in texts if text]
    return len(texts) == len(members) and bool(some) and all(map(_BEGIN.match, some))


def read(members: Sequence[Member]) -> list[ImageRegions]:
    """The regions of each file; "don't care" ones of fewer than three corners are left out.

    Raises:
        ValueError: A file has another form; names file and row or line.
    """
    found = []
    for member in members:
        regions = _of_matlab(member) if member.suffix == ".mat" else _of_text(member)
        found.append(ImageRegions(member.image, tuple(one for one in regions if one is not None)))
    return found


def _of_matlab(member: Member) -> list[TextRegion | None]:
    stored = variables(member)
    name = next((name for name in _VARIABLES if name in stored), None)
    if name is None:
        raise ValueError(
            f"{member.where}: it needs a variable {' or '.join(_VARIABLES)}, "
            f"got {', '.join(sorted(stored)) or 'none'}"
        )
    rows = stored[name]
    if rows.size and (rows.ndim != 2 or rows.shape[1] < _COLUMNS or rows.dtype != object):
        raise ValueError(
            f"{member.where}: {name} needs {_COLUMNS} columns of cells, got the shape {rows.shape}"
        )
    regions = []
    for number, row in enumerate(rows if rows.size else (), start=1):
        where = f"{member.where}, row {number}"
        text, orientation = word(row[4]), word(row[5])
        regions.append(
            _region(_axis(row[1], where), _axis(row[3], where), text, orientation, where)
        )
    return regions


def _axis(cell: Any, where: str) -> list[float]:  # Any: a MATLAB cell
    try:
        return [float(value) for value in np.ravel(cell)]
    except (TypeError, ValueError):
        raise ValueError(f"{where}: coordinates need to be numbers, got {cell!r}") from None


def _of_text(member: Member) -> list[TextRegion | None]:
    text = member.text()
    begins = [match.start() for match in _BEGIN.finditer(text)]
    if text[: begins[0] if begins else None].strip():
        raise ValueError(f"{member.where}, line 1: a record needs to begin with `x: [[`")
    regions = []
    for begin, end in zip(begins, [*begins[1:], len(text)], strict=True):
        where = f"{member.where}, line {text[:begin].count(chr(10)) + 1}"
        record = _RECORD.fullmatch(text[begin:end])
        if record is None:
            raise ValueError(
                f"{where}: a record needs x, y, ornt and transcriptions in brackets, "
                f"got {' '.join(text[begin:end].split())[:60]!r}"
            )
        x, y = (numbers(record[axis].replace(",", " ").split(), where) for axis in ("x", "y"))
        regions.append(_region(x, y, _unquoted(record["text"]), _unquoted(record["ornt"]), where))
    return regions


def _region(
    x: list[float], y: list[float], text: str, orientation: str, where: str
) -> TextRegion | None:
    if len(x) != len(y):
        raise ValueError(f"{where}: corners need x and y each, got {len(x)} x and {len(y)} y")
    # Where the orientation is empty, the text alone can say it.
    ignored = (orientation or text) == _DONT_CARE
    return region(
        [value for corner in zip(x, y, strict=True) for value in corner], text, ignored, where
    )


def _unquoted(text: str) -> str:
    text = text.strip()
    if text[:1] == "u" and text[1:2] in ("'", '"'):
        text = text[1:]
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
