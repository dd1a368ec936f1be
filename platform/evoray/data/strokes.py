"""Digits in noise, to be segmented: scikit-learn's handwritten digits, each pixel labelled ink or
not. Embedded, no download.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evoray.data.digits import Digits
from evoray.data.parts.contents import Contents
from evoray.data.parts.images import Arrays, MemorySplit, opened
from evoray.seeds import generator_for

_INK = 128  # grey value from which a pixel is ink
_NOISE = 0.5  # share of the noise in a picture


@dataclass(frozen=True, kw_only=True)
class Strokes:
    """Pictures that are half digit and half noise; labels are (n, h, w), 1 for ink.

    Attributes:
        image_size: Side in pixels.
        limit: At most so many training images.
    """

    image_size: int = 16
    limit: int | None = None
    name: str = "strokes"
    task: str = "segmentation"
    num_classes: int = 2
    mean: tuple[float, ...] = (0.403,)
    std: tuple[float, ...] = (0.22,)
    mirror: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 1, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        return opened(self, split, _read)

    def contents(self) -> Contents:
        return Digits().contents()

    @property
    def folder(self) -> None:
        return None


def _read(source: Strokes, split: str) -> Arrays:
    digits = Digits(image_size=source.image_size, limit=source.limit).open(split)
    clean = np.rint(
        (digits.images(range(len(digits))).numpy() * Digits.std[0] + Digits.mean[0]) * 255.0
    ).clip(0, 255)
    noise = generator_for(0, "strokes", split).integers(0, 256, size=clean.shape)
    pixels = np.rint((1.0 - _NOISE) * clean + _NOISE * noise).astype(np.uint8)
    return pixels, (clean[:, 0] >= _INK).astype(np.int64)


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> Strokes:
    """Strokes; there is nothing to read from a folder or to fetch, so `root` and `download` are
    refused.

    Raises:
        ValueError: A root was given.
    """
    if root is not None or download:
        raise ValueError(
            "data source 'strokes' is embedded and reads no folder: leave out --data.root (got "
            f"{root}) and --data.download"
        )
    return Strokes(image_size=image_size or 16, limit=limit)
