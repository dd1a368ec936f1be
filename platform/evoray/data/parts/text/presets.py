"""Difficulties of generated text: sizes, bends, contrast.

`total_text` and `ctw` bend their lines so often that rectangles fit as many of them as in the real
test sets: of Total-Text 96 % at IoU 0.5 and 77 % at 0.7, of CTW1500 92 % and 77 %, measured on
their ground truth.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bend:
    """One kind of line.

    Attributes:
        share: Share of the lines that are proposed.
        arc: Least and greatest angle that an arc spans, in degrees; (0, 0) for none.
        wave: Least and greatest amplitude, in lengths of the line; (0, 0) for none.
    """

    share: float
    arc: tuple[float, float] = (0.0, 0.0)
    wave: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """One difficulty; pixels are those of an image of 256, and grow with it.

    Attributes:
        about: In a few words.
        lines: Least and most texts in an image, each annotated by one polygon.
        words: Least and most words of one text.
        heights: Least and greatest height of a text, in pixels.
        contrast: Least and greatest difference of brightness between a text and what is behind it,
            of 255.
        bends: Kinds of lines.
        steep: Share of the lines that are turned by up to 90 degrees, others by up to 20.
        noise: Greatest standard deviation of the noise over the image, of 255.
        texture: Greatest contrast of the background, as a share of its own.
    """

    about: str
    lines: tuple[int, int]
    words: tuple[int, int]
    heights: tuple[float, float]
    contrast: tuple[float, float]
    bends: tuple[Bend, ...]
    steep: float = 0.15
    noise: float = 6.0
    texture: float = 0.6


_STRONG = (
    Bend(0.32),
    Bend(0.12, arc=(15, 50)),
    Bend(0.36, arc=(70, 230)),
    Bend(0.20, wave=(0.08, 0.16)),
)

PRESETS = {
    "curved": Preset(
        about="strongly bent lines in clear contrast",
        lines=(2, 5),
        words=(1, 3),
        heights=(12, 28),
        contrast=(90, 170),
        bends=_STRONG,
    ),
    "hard": Preset(
        about="strongly bent lines, smaller and in low contrast",
        lines=(2, 5),
        words=(1, 3),
        heights=(10, 26),
        contrast=(30, 70),
        bends=_STRONG,
        noise=10.0,
        texture=0.9,
    ),
    "total_text": Preset(
        about="words, bent as often as those of Total-Text",
        lines=(3, 9),
        words=(1, 1),
        heights=(9, 26),
        contrast=(50, 150),
        bends=(
            Bend(0.54),
            Bend(0.25, arc=(15, 45)),
            Bend(0.11, arc=(130, 240)),
            Bend(0.09, wave=(0.11, 0.18)),
        ),
        texture=0.8,
    ),
    "ctw": Preset(
        about="lines of several words, bent as often as those of CTW1500",
        lines=(3, 7),
        words=(1, 3),
        heights=(8, 24),
        contrast=(50, 150),
        bends=(
            Bend(0.605),
            Bend(0.23, arc=(8, 35)),
            Bend(0.12, arc=(45, 150)),
            Bend(0.05, wave=(0.02, 0.08)),
        ),
        texture=0.8,
    ),
}
