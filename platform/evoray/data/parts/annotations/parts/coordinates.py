"""Corners in lines of text: numbers with commas between them, and what stands behind them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from objectives.parts.text.polygons import MAX_COORDINATE
from objectives.parts.text.regions import Polygon, TextRegion

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")  # no "nan", "inf", "1_000"
MIN_CORNERS = 3


def is_number(word: str) -> bool:
    """True where a field is a coordinate."""
    return _NUMBER.fullmatch(word.strip()) is not None


def numbers(words: Sequence[str], where: str) -> list[float]:
    """The coordinates that fields hold.

    Raises:
        ValueError: One is no number; names `where`.
    """
    for place, word in enumerate(words, start=1):
        if not is_number(word):
            raise ValueError(
                f"{where}: field {place} needs to be a coordinate, got {word.strip()!r}"
            )
    return [float(word) for word in words]


def polygon(values: Sequence[float], where: str) -> Polygon:
    """The corners that x and y in turn make.

    Raises:
        ValueError: Their number is odd, there are fewer than three corners, or one is out of any
            reach; names `where`.
    """
    if len(values) % 2:
        raise ValueError(
            f"{where}: corners need x and y each, got an odd number of coordinates, {len(values)}"
        )
    if len(values) < 2 * MIN_CORNERS:
        raise ValueError(
            f"{where}: a polygon needs at least {MIN_CORNERS} corners, got {len(values) // 2}"
        )
    far = next((value for value in values if not abs(value) <= MAX_COORDINATE), None)
    if far is not None:
        raise ValueError(
            f"{where}: a coordinate needs to lie within {MAX_COORDINATE:g} pixels, got {far}"
        )
    return np.array(values, dtype=np.float64).reshape(-1, 2)


def region(values: Sequence[float], text: str, ignored: bool, where: str) -> TextRegion | None:
    """A region; None for a "don't care" one of too few corners, which data sets do have.

    Raises:
        ValueError: `polygon` refuses the corners; names `where`.
    """
    if ignored and len(values) % 2 == 0 and len(values) < 2 * MIN_CORNERS:
        return None
    return TextRegion(polygon(values, where), text, ignored)


def split_text(line: str, where: str) -> tuple[list[float], str]:
    """Coordinates from the left, and the text behind them, which may hold commas and numbers: the
    last field is always text, and of an odd number of coordinates the last one is, if all of the
    text is figures ("5,000").

    Raises:
        ValueError: An odd number of coordinates stands before the text; names `where`.
    """
    words = line.split(",")
    count = 0
    while count < len(words) - 1 and is_number(words[count]):
        count += 1
    if count % 2 and count > 2 and all(is_number(word) for word in words[count:]):
        count -= 1
    if count % 2 or not count:
        raise ValueError(
            f"{where}: corners need x and y each and a text behind them, got {count} coordinates "
            f"before {','.join(words[count:])!r}"
        )
    return [float(word) for word in words[:count]], ",".join(words[count:]).strip()
