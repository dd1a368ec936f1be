"""Rotated rectangles and the frame of a RoI: pixels of the image to cells of its grid and back.

A rectangle is a row of six numbers: centre x and y, unit axis u along the long side (u_x >= 0; it
points down where it is upright), length w along u and h <= w along v = (-u_y, u_x).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rectangles = NDArray[np.float64]  # (k, 6): centre x, centre y, u_x, u_y, w, h

_SHARE_OF_MEMORY = 2_000_000  # numbers that one block of turned hulls may hold


def min_area_rectangles(geometries: Sequence[shapely.Geometry] | NDArray[np.object_]) -> Rectangles:
    """(k, 6): the rectangle of least area around each geometry; one side lies on its convex hull
    (Freeman and Shapira 1975). Points and lines have rectangles of area 0, empty ones NaN.
    """
    hulls = shapely.convex_hull(np.asarray(geometries, dtype=object))
    xy, owner = shapely.get_coordinates(hulls, return_index=True)
    counts = np.bincount(owner, minlength=len(hulls))
    found = np.full((len(hulls), 6), np.nan)
    full = np.flatnonzero(counts)
    if not len(full):
        return found
    widest = int(counts.max())
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    block = max(1, _SHARE_OF_MEMORY // (widest * widest))
    for first in range(0, len(full), block):
        some = full[first : first + block]
        # Short hulls repeat their last point: edges of length 0, and no new extreme.
        within = np.minimum(np.arange(widest), counts[some, None] - 1)
        found[some] = _least_of_edges(xy[starts[some, None] + within])
    return found


def _least_of_edges(hulls_kpd: Array) -> Rectangles:
    """The best rectangle with a side on an edge, for (k, p, 2) points of hulls."""
    edges = np.roll(hulls_kpd, -1, axis=1) - hulls_kpd
    lengths = np.hypot(edges[..., 0], edges[..., 1])
    axes = np.where(lengths[..., None] > 0, edges, (1.0, 0.0))
    axes /= np.where(lengths > 0, lengths, 1.0)[..., None]
    normals = np.stack([-axes[..., 1], axes[..., 0]], axis=-1)
    origin = hulls_kpd[:, :1]
    centred = (hulls_kpd - origin).transpose(0, 2, 1)
    along, across = axes @ centred, normals @ centred
    low = np.stack([along.min(axis=-1), across.min(axis=-1)], axis=-1)
    high = np.stack([along.max(axis=-1), across.max(axis=-1)], axis=-1)
    sizes = high - low
    area = sizes[..., 0] * sizes[..., 1]
    area[(lengths == 0) & (lengths.max(axis=1, keepdims=True) > 0)] = np.inf
    at = (np.arange(len(area)), area.argmin(axis=1))
    middle = (low[at] + high[at]) / 2
    centre = origin[:, 0] + middle[:, :1] * axes[at] + middle[:, 1:] * normals[at]
    return canonical(np.concatenate([centre, axes[at], sizes[at]], axis=1))


def canonical(rectangles: Rectangles) -> Rectangles:
    """The same rectangles, u along the long side and to the right, or down where it is upright."""
    x, y, u_x, u_y, w, h = np.asarray(rectangles, dtype=np.float64).T
    swap = h > w
    u_x, u_y = np.where(swap, -u_y, u_x), np.where(swap, u_x, u_y)
    w, h = np.where(swap, h, w), np.where(swap, w, h)
    turn = np.where((u_x < 0) | ((u_x == 0) & (u_y < 0)), -1.0, 1.0)
    return np.stack([x, y, turn * u_x + 0.0, turn * u_y + 0.0, w, h], axis=1)


def corners(rectangles: Rectangles) -> Array:
    """(k, 4, 2): corners in the order of the frame's (0, 0), (W, 0), (W, H), (0, H)."""
    return from_frame(np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1]])[None], rectangles, (1, 1))


def grown(rectangles: Rectangles, unclip: float) -> Rectangles:
    """Every side moved outwards by area * unclip / perimeter, as DB grows its shrunk boxes."""
    w, h = rectangles[:, 4], rectangles[:, 5]
    distance = unclip * w * h / np.maximum(2 * (w + h), 1e-12)
    return np.column_stack([rectangles[:, :4], w + 2 * distance, h + 2 * distance])


def padded(rectangles: Rectangles, share: float) -> Rectangles:
    """Longer by `share` of their length at every end, wider likewise."""
    return np.column_stack([rectangles[:, :4], rectangles[:, 4:] * (1 + 2 * share)])


def to_frame(points: Array, rectangles: Rectangles, size: tuple[int, int]) -> Array:
    """Points of the image in cells of each rectangle's grid.

    Args:
        points: (k or 1, ..., 2) x and y in pixels of the image.
        rectangles: (k, 6) of sides above 0.
        size: Rows and columns of the grid.

    Returns:
        (k, ..., 2): (0, 0) is the frame's corner, the first cell's centre is (0.5, 0.5).
    """
    shape = (-1,) + (1,) * (points.ndim - 2)
    x, y, u_x, u_y, w, h = (column.reshape(shape) for column in rectangles.T)
    d_x, d_y = points[..., 0] - x, points[..., 1] - y
    along, across = d_x * u_x + d_y * u_y, d_y * u_x - d_x * u_y
    return np.stack([(along / w + 0.5) * size[1], (across / h + 0.5) * size[0]], axis=-1)


def from_frame(points: Array, rectangles: Rectangles, size: tuple[int, int]) -> Array:
    """The inverse of `to_frame`: (k or 1, ..., 2) cells to (k, ..., 2) pixels of the image."""
    shape = (-1,) + (1,) * (points.ndim - 2)
    x, y, u_x, u_y, w, h = (column.reshape(shape) for column in rectangles.T)
    along, across = (points[..., 0] / size[1] - 0.5) * w, (points[..., 1] / size[0] - 0.5) * h
    return np.stack([x + along * u_x - across * u_y, y + along * u_y + across * u_x], axis=-1)


def rectangle_ious(a: Rectangles, b: Rectangles) -> Array:
    """(len(a), len(b)) intersection over union of rectangles; 0 where both are of area 0."""
    shapes_a, shapes_b = shapely.polygons(corners(a)), shapely.polygons(corners(b))
    found = np.zeros((len(a), len(b)))
    if not len(a) or not len(b):
        return found
    i, j = shapely.STRtree(shapes_b).query(shapes_a, predicate="intersects")
    shared = shapely.area(shapely.intersection(shapes_a[i], shapes_b[j]))
    united = shapely.area(shapes_a)[i] + shapely.area(shapes_b)[j] - shared
    found[i, j] = np.divide(shared, united, out=np.zeros_like(shared), where=united > 0)
    return found
