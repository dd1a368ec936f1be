"""Detections of a set: a text file an image with `x1,y1,x2,y2,...` a line, also with ", " between
the numbers, or one JSON file in our plain form.
"""

from __future__ import annotations

from pathlib import Path

from evoray.data.parts.annotations import plain_json
from evoray.data.parts.annotations.parts.coordinates import numbers, polygon
from evoray.data.parts.annotations.parts.members import members
from objectives.parts.text.regions import Detection


def read_detections(path: Path) -> dict[str, list[Detection]]:
    """The detections of every image that has a file or an entry, by the image's name.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: A file is of neither form; names file and line.
    """
    files = members(path)
    if files[0].suffix == ".json":
        return plain_json.read_detections(files)
    found: dict[str, list[Detection]] = {}
    for member in files:
        if member.suffix != ".txt":
            raise ValueError(
                f"{member.where}: detections come as .txt, x1,y1,x2,y2,... a line, or as .json"
            )
        if member.image in found:
            raise ValueError(
                f"{member.where}: a second file of detections of the image {member.image!r}"
            )
        found[member.image] = [
            Detection(polygon(numbers(line.split(","), where), where))
            for where, line in (
                (f"{member.where}, line {number}", line) for number, line in member.lines()
            )
        ]
    return found
