"""Images with text as training and objectives see them, wherever they come from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from objectives.base import DataSource, Split
from objectives.parts.text.regions import TextRegion


class TextSplit(Split, Protocol):
    """One part of a data set of images with text, opened.

    `images` gives (b, 3, S, S) float32: each image is scaled so that its long side is the source's
    S pixels and stands at the top left; the rest is black before normalisation.
    """

    def name(self, index: int) -> str:
        """The image's name, by which annotations and detections meet; each has its own."""
        ...

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """(3, h, w) colours in the original size; read only."""
        ...

    def regions(self, index: int) -> tuple[TextRegion, ...]:
        """The annotated texts, in pixels of the original size; none where nothing is written."""
        ...

    def scale(self, index: int) -> float:
        """Factor from pixels of the original size to those of `images`."""
        ...


class TextSource(DataSource, Protocol):
    """A data set of images with text; `image_shape` is (3, S, S)."""

    def open(self, split: str) -> TextSplit: ...
