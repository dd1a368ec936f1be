"""Difficulty of a set of annotated texts, in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from objectives.parts.text.regions import Polygon

_LONG = 1 / 3  # of the image's long side
_THRESHOLDS = (0.5, 0.7, 0.8)


def facts_of(images: Sequence[Sequence[Polygon]], long_sides: Sequence[float]) -> dict[str, str]:
    """Numbers in words, by name.

    Args:
        images: The polygons of each image that count.
        long_sides: Long side of each image, in the polygons' pixels.
    """
    polygons = [polygon for image in images for polygon in image]
    if not polygons:
        return {"texts an image": "0"}
    rectangles = shapely.oriented_envelope([shapely.Polygon(polygon) for polygon in polygons])
    short, long = _sides(rectangles)
    sizes = np.repeat(np.asarray(long_sides), [len(image) for image in images])
    fits = np.array([rectangle_share(polygon) for polygon in polygons])
    low, high = np.quantile(short, (0.05, 0.95))
    return {
        "texts an image": f"{len(polygons) / len(images):.1f}",
        "short side (5 to 95 %)": f"{low:.0f} to {high:.0f} px",
        "over a third of the image": f"{np.mean(long > _LONG * sizes):.0%}",
        **{
            f"rectangle's IoU >= {threshold}": f"{np.mean(fits >= threshold):.1%}"
            for threshold in _THRESHOLDS
        },
    }


def rectangle_share(polygon: Polygon) -> float:
    """IoU of a polygon and its smallest rotated rectangle; 0 for one without an area."""
    shape = shapely.make_valid(shapely.Polygon(polygon))
    around = shapely.oriented_envelope(shape).area
    return float(shape.area / around) if around else 0.0


def _sides(
    rectangles: Sequence[shapely.Geometry],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Short and long sides, (n,) each; 0 where a rectangle is a line or a point."""
    corners = [shapely.get_coordinates(rectangle) for rectangle in rectangles]
    both = np.array(
        [
            [np.hypot(*(c[1] - c[0])), np.hypot(*(c[2] - c[1]))] if len(c) > 3 else [0.0, 0.0]
            for c in corners
        ]
    )
    return both.min(axis=1), both.max(axis=1)
