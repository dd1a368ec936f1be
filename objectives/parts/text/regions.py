"""Text regions of an image: polygons in pixels, as annotated and as detected."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]  # (n, 2): x and y in pixels of the original image, y downwards


@dataclass(frozen=True, eq=False)
class TextRegion:
    """One annotated text: a word or a line, as its data set has it.

    Attributes:
        polygon: (n, 2) corners in pixels of the original image, in either direction.
        text: Words that stand there; "" if they are unknown.
        ignored: A "don't care" region: to find it is neither right nor wrong.
    """

    polygon: Polygon
    text: str = ""
    ignored: bool = False


def scaled(region: TextRegion, factor: float) -> TextRegion:
    """The region in an image whose sides are `factor` as long."""
    return replace(region, polygon=np.asarray(region.polygon, dtype=np.float64) * factor)


@dataclass(frozen=True, eq=False)
class Detection:
    """One text that a detector found.

    Attributes:
        polygon: (n, 2) corners in pixels of the original image.
        score: Between 0 and 1; protocols take a finished list and do not look at it.
    """

    polygon: Polygon
    score: float = 1.0


@dataclass(frozen=True)
class ImageRegions:
    """The annotated regions of one image.

    Attributes:
        image: The image's name, by which annotations and detections meet.
        regions: In the order of the file.
    """

    image: str
    regions: tuple[TextRegion, ...] = field(default=())
