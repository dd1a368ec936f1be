"""Polygons shrunk and grown by a distance that follows from their own area and perimeter.

Vatti's offset as PSENet and DB use it for kernels, by GEOS's buffers with mitred joins.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

KERNEL_RATIO = 0.4  # DB's: kernels of neighbouring words stay apart
Shapes = NDArray[np.object_]  # of shapely geometries


def shrunk(shapes: Shapes, ratio: float = KERNEL_RATIO) -> Shapes:
    """Each moved inwards by area * (1 - ratio^2) / perimeter; empty, or in several pieces, where
    the shape is too narrow for it.
    """
    return _moved(shapes, -(1 - ratio * ratio))


def grown_shapes(shapes: Shapes, unclip: float) -> Shapes:
    """Each moved outwards by area * unclip / perimeter."""
    return _moved(shapes, unclip)


def _moved(shapes: Shapes, factor: float) -> Shapes:
    shapes = np.asarray(shapes, dtype=object)
    perimeters = shapely.length(shapes)
    distances = factor * shapely.area(shapes) / np.where(perimeters > 0, perimeters, 1.0)
    found: Shapes = shapely.buffer(shapes, distances, join_style="mitre")
    return found
