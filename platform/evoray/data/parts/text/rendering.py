"""Pixels of generated images: each text's ink is pulled through the inverse of its strip's formula,
which its polygon is made of too.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from evoray.data.parts.text.backgrounds import Backgrounds, Colours
from evoray.data.parts.text.fonts import Fonts
from evoray.data.parts.text.layouts import MARGIN, PlacedText
from evoray.data.parts.text.presets import Preset
from evoray.data.parts.text.strips import Strip
from evoray.seeds import generator_for
from objectives.parts.text.regions import Polygon

_FINER = 1.5  # pixels of the drawn ink to one of the image
_PLATES = 0.25  # share of the texts on a surface of their own
_PLATE_EDGE = 0.35  # how far that reaches beyond the text, in heights
_BLURRED = 0.35  # share of the images that are out of focus
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
_TILE = 1024


def drawn(
    size: int,
    texts: tuple[PlacedText, ...],
    fonts: Fonts,
    backgrounds: Backgrounds,
    preset: Preset,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """(3, size, size): the texts on a background, as a camera might see them."""
    picture = backgrounds.drawn(size, preset.texture, rng)
    for text in texts:
        _write(picture, text, fonts, preset, rng)
    if rng.random() < _BLURRED:
        soft = Image.fromarray(picture.astype(np.uint8)).filter(
            ImageFilter.BoxBlur(rng.uniform(0.3, 0.8) * size / 256)
        )
        picture = np.asarray(soft, dtype=np.float32)
    picture = picture + np.float32(rng.uniform(0, preset.noise)) * _noise(size, rng)
    return np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8).transpose(2, 0, 1))


def coverage(
    text: PlacedText, fonts: Fonts, along: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(h, w) shares of pixels that a text's ink covers, from the pixels' places in its strip."""
    inside = _inside(along, across)
    ink = fonts.drawn(text.font, text.text, _FINER * text.strip.height)
    covered = np.zeros(inside.shape, dtype=np.float32)
    covered[inside] = _sampled(ink, along[inside], across[inside])
    return covered


def places(
    text: PlacedText, rows: slice, columns: slice
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(h, w) shares along and across a text's strip, of the middles of a window's pixels."""
    x = np.arange(columns.start, columns.stop, dtype=np.float64) + 0.5
    y = np.arange(rows.start, rows.stop, dtype=np.float64) + 0.5
    return text.strip.shares(*np.broadcast_arrays(x[None, :], y[:, None]))


def _inside(along: NDArray[np.float64], across: NDArray[np.float64]) -> NDArray[np.bool_]:
    return (along > 0) & (along < 1) & (across > 0) & (across < 1)


def _write(
    picture: Colours, text: PlacedText, fonts: Fonts, preset: Preset, rng: np.random.Generator
) -> None:
    """Paints one text into the picture."""
    plate = rng.random() < _PLATES
    edge = _PLATE_EDGE * text.strip.height
    rows, columns = _window(text.polygon, picture.shape[0], edge if plate else 0.0)
    patch = picture[rows, columns]
    along, across = places(text, rows, columns)
    inside = _inside(along, across)
    behind = float((patch @ _LUMA)[inside].mean()) if inside.any() else 128.0
    if plate:
        behind, patch[:] = _on_plate(patch, along, across, text.strip, behind, rng)
    colour = _colour(_away(behind, rng.uniform(*preset.contrast), rng), rng)
    opacity = np.float32(rng.uniform(0.9, 1.0)) * coverage(text, fonts, along, across)
    patch += opacity[:, :, None] * (colour - patch)


def _window(corners: Polygon, size: int, edge: float) -> tuple[slice, slice]:
    """The rows and columns that a text, or what reaches `edge` beyond it, may touch."""
    low = np.clip(np.floor(corners.min(axis=0) - edge), 0, size - 1).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + edge), low + 1, size).astype(int)
    return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))


def _on_plate(
    patch: Colours,
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    strip: Strip,
    behind: float,
    rng: np.random.Generator,
) -> tuple[float, Colours]:
    """Brightness and pixels of the patch with a surface that follows the text."""
    reach = rng.uniform(0.1, _PLATE_EDGE)
    ends = reach * strip.height / strip.length
    outside = np.maximum(
        np.abs(across - 0.5) - (0.5 + reach), (np.abs(along - 0.5) - (0.5 + ends)) / ends * reach
    )
    cover = np.clip(0.5 - outside * strip.height, 0, 1).astype(np.float32)[:, :, None]
    bright = float(np.clip(behind + rng.uniform(-90, 90), 20, 235))
    colour = _colour(bright, rng)
    return bright, patch + cover * np.float32(rng.uniform(0.8, 1.0)) * (colour - patch)


def _away(behind: float, contrast: float, rng: np.random.Generator) -> float:
    """A brightness that differs by the contrast, to the side that has room for it."""
    room = behind - contrast >= 0, behind + contrast <= 255
    if all(room):
        return behind + (contrast if rng.random() < 0.5 else -contrast)
    if not any(room):
        return 0.0 if behind > 127.5 else 255.0
    return behind + contrast if room[1] else behind - contrast


def _colour(bright: float, rng: np.random.Generator) -> Colours:
    """(3,) a random colour of that brightness."""
    tint = rng.uniform(-1, 1, size=3).astype(np.float32)
    tint -= tint @ _LUMA
    strength = rng.uniform(0, 90)
    room = min(bright, 255 - bright)
    tint *= np.float32(min(strength, room)) / np.abs(tint).max()
    return np.asarray(np.float32(bright) + tint, dtype=np.float32)


def _sampled(
    ink: NDArray[np.uint8], along: NDArray[np.float64], across: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(n,) bilinear values, 0 to 1, of ink that stands inside a margin of the strip."""
    height, width = ink.shape
    rim = MARGIN * height  # the same number of its pixels on all four sides
    x = along * (width + 2 * rim) - rim + 0.5  # of the padded ink below, whose pixels' centres
    y = across * (height + 2 * rim) - rim + 0.5  # are whole numbers
    x, y = np.clip(x, 0, width + 0.999), np.clip(y, 0, height + 0.999)
    padded = np.pad(ink, 1).astype(np.float32) * np.float32(1 / 255)
    column, row = x.astype(np.int64), y.astype(np.int64)
    right, down = (x - column).astype(np.float32), (y - row).astype(np.float32)
    flat, stride = padded.ravel(), width + 2
    place = row * stride + column
    upper = flat[place] * (1 - right) + flat[place + 1] * right
    lower = flat[place + stride] * (1 - right) + flat[place + stride + 1] * right
    return np.asarray(upper + down * (lower - upper), dtype=np.float32)


def _noise(size: int, rng: np.random.Generator) -> Colours:
    """(size, size, 3) of unit variance: a place of one tile, which costs less than fresh noise."""
    tile = _tile()
    top, left = rng.integers(0, _TILE, size=2)
    if size <= _TILE:
        return tile[top : top + size, left : left + size]
    times = math.ceil(size / _TILE)
    return np.tile(tile[:_TILE, :_TILE], (times, times, 1))[:size, :size]


@cache
def _tile() -> Colours:
    """A square of noise, followed by itself on either side."""
    values = generator_for(0, "text", "noise").standard_normal((_TILE, _TILE, 3), dtype=np.float32)
    return np.tile(values, (2, 2, 1))
