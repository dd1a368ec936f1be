"""Places of the texts of a generated image: nothing is drawn here, so that shares of many images
are quickly counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapely

from evoray.data.parts.text.presets import Bend, Preset
from evoray.data.parts.text.strips import Arc, Curve, Strip, Wave
from evoray.data.parts.text.words import line_of
from objectives.parts.text.regions import Polygon

MARGIN = 0.06  # of a text's height, between its ink and its polygon on either side
_PROPOSALS, _PLACES = 24, 6  # tries for a text that fits the image, and for a free place of one
_GAP = 0.25  # least distance of two polygons, in heights of the higher one
_BORDER = 1.0  # pixels between polygons and the image's edge
_INNER = 0.25  # least radius of an arc's concave side, in heights

Aspect = Callable[[int, str], float]  # font's number, text -> width of its ink by its height


@dataclass(frozen=True, eq=False)
class PlacedText:
    """One text of a generated image.

    Attributes:
        text: Words that are written.
        font: The font's number.
        strip: Curved strip of the image that they fill.
        polygon: (n, 2) the strip's.
    """

    text: str
    font: int
    strip: Strip
    polygon: Polygon


def layout(
    preset: Preset, size: int, num_fonts: int, aspect: Aspect, rng: np.random.Generator
) -> tuple[PlacedText, ...]:
    """Texts that lie apart from each other inside a square image of `size` pixels; fewer than the
    preset's least where there is no room.
    """
    placed: list[PlacedText] = []
    shapes: list[shapely.Polygon] = []
    for _ in range(int(rng.integers(preset.lines[0], preset.lines[1] + 1))):
        for _ in range(_PROPOSALS):
            text = _proposed(preset, size, num_fonts, aspect, rng)
            found = text and _placed(text, size, shapes, rng)
            if found:
                placed.append(found)
                shapes.append(shapely.Polygon(found.polygon))
                break
    return tuple(placed)


def _proposed(
    preset: Preset, size: int, num_fonts: int, aspect: Aspect, rng: np.random.Generator
) -> PlacedText | None:
    """A text about the origin; None for one that cannot be bent so far."""
    scale = size / 256
    text = line_of(rng, int(rng.integers(preset.words[0], preset.words[1] + 1)))
    font = int(rng.integers(num_fonts))
    low, high = np.log(preset.heights)
    height = scale * math.exp(rng.uniform(low, high))
    length = height * (aspect(font, text) + 2 * MARGIN) / (1 + 2 * MARGIN)
    shares = np.array([bend.share for bend in preset.bends])
    bend = preset.bends[rng.choice(len(shares), p=shares / shares.sum())]
    curve = _curve(bend, length, height, rng)
    if curve is None or length > 1.5 * size:
        return None
    turn = math.radians(rng.uniform(-90, 90) if rng.random() < preset.steep else rng.normal(0, 9))
    slant = rng.uniform(-0.25, 0.25) if rng.random() < 0.3 else 0.0
    cos, sin = math.cos(turn), math.sin(turn)
    strip = Strip(
        length=length,
        height=height,
        curve=curve,
        taper=rng.uniform(-0.2, 0.2) if rng.random() < 0.3 else 0.0,
        matrix=(cos, cos * slant - sin, sin, sin * slant + cos),
    )
    return PlacedText(text, font, strip, strip.polygon())


def _curve(bend: Bend, length: float, height: float, rng: np.random.Generator) -> Curve | None:
    if bend.arc[1]:
        radius = length / math.radians(rng.uniform(*bend.arc))
        if radius < (0.5 + _INNER) * height:
            return None
        return Arc(radius if rng.random() < 0.65 else -radius)
    if bend.wave[1]:
        amplitude = length * rng.uniform(*bend.wave)
        return Wave(
            amplitude, 2 * math.pi * rng.uniform(0.5, 1.25) / length, rng.uniform(0, 2 * math.pi)
        )
    return Wave()


def _placed(
    text: PlacedText, size: int, shapes: list[shapely.Polygon], rng: np.random.Generator
) -> PlacedText | None:
    """The text at a free place; None where none was found."""
    corners = text.polygon
    least, most = _BORDER - corners.min(axis=0), size - _BORDER - corners.max(axis=0)
    if (least >= most).any():
        return None
    for _ in range(_PLACES):
        offset = rng.uniform(least, most)
        moved = shapely.Polygon(corners + offset)
        gap = _GAP * text.strip.height
        if not shapes or shapely.distance(shapes, moved).min() > gap:
            strip = replace(text.strip, offset=(float(offset[0]), float(offset[1])))
            return replace(text, strip=strip, polygon=corners + offset)
    return None
