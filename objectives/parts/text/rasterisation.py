"""Polygons as masks: the pixels whose centres lie inside, or all that are touched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Places = NDArray[np.int64]


def filled(rings: Sequence[Array], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(k, h, w): each ring filled on a plane of its own, also where it crosses itself.

    A pixel is inside where the winding number of its centre is not 0, in whichever direction the
    ring goes. Rings may leave the plane, or lie outside; those of fewer than three points fill
    nothing.

    Args:
        rings: (n, 2) each, x and y in pixels of the plane, (0, 0) its corner.
        size: Rows and columns of a plane.
    """
    height, width = size
    upper, lower, sign, owner = _edges(rings)
    low = np.ceil(upper[:, 1] - 0.5).clip(0, height).astype(np.int64)
    high = np.ceil(lower[:, 1] - 0.5).clip(0, height).astype(np.int64)
    edge, row = _rows(low, high)
    run, rise = (lower[edge] - upper[edge]).T
    x = upper[edge, 0] + (row + 0.5 - upper[edge, 1]) * run / rise
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    place = (owner[edge] * height + row) * (width + 1) + column
    return np.asarray(_sums(place, sign[edge], len(rings), size) != 0)


def touched(rings: Sequence[Array], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(k, h, w): as `filled`, and every pixel that the ring itself passes through.

    Shapes gain half a pixel on every side, and none is so thin that it breaks.
    """
    height, width = size
    upper, lower, _, owner = _edges(rings)
    low = np.floor(upper[:, 1]).clip(0, height).astype(np.int64)
    high = np.floor(lower[:, 1] + 1).clip(0, height).astype(np.int64)
    edge, row = _rows(low, high)
    run, rise = (lower[edge] - upper[edge]).T
    slope = run / np.where(rise > 0, rise, 1.0)
    # The part of an edge that lies between a row's upper and lower border; all of a level one.
    enter, leave = (
        upper[edge, 0] + slope * (border.clip(upper[edge, 1], lower[edge, 1]) - upper[edge, 1])
        for border in (row.astype(np.float64), row + 1.0)
    )
    leave = np.where(rise > 0, leave, lower[edge, 0])
    line = (owner[edge] * height + row) * (width + 1)
    first = np.floor(np.minimum(enter, leave)).clip(0, width).astype(np.int64)
    after = np.floor(np.maximum(enter, leave) + 1).clip(0, width).astype(np.int64)
    steps = np.repeat([1.0, -1.0], len(line))
    passed = _sums(np.concatenate([line + first, line + after]), steps, len(rings), size) > 0
    large = np.bincount(owner, minlength=len(rings)) > 2
    return np.asarray(filled(rings, size) | (passed & large[:, None, None]))


def _edges(rings: Sequence[Array]) -> tuple[Array, Array, Array, Places]:
    """Upper and lower end (e, 2) of all edges, (e,) 1 for those that go down and -1 for those that
    go up, and (e,) the ring of each.

    Edges are followed from above, so that a ring rounds alike in either direction.
    """
    counts = np.array([len(ring) for ring in rings], dtype=np.int64)
    flat = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in rings]
    start = np.concatenate([np.zeros((0, 2)), *flat])
    following = np.arange(1, len(start) + 1)
    ends, full = np.cumsum(counts), counts > 0
    following[ends[full] - 1] = (ends - counts)[full]
    stop = start[following]
    down = (start[:, 1] < stop[:, 1])[:, None]
    upper, lower = np.where(down, start, stop), np.where(down, stop, start)
    return upper, lower, np.where(down[:, 0], 1.0, -1.0), np.repeat(np.arange(len(counts)), counts)


def _rows(low: Places, high: Places) -> tuple[Places, Places]:
    """Edge and row of each row from `low` up to `high` of each edge."""
    num = high - low
    edge = np.repeat(np.arange(len(num)), num)
    return edge, np.arange(len(edge)) - np.repeat(np.cumsum(num) - num, num) + low[edge]


def _sums(places: Places, steps: Array, planes: int, size: tuple[int, int]) -> Array:
    """(planes, h, w) running sums along rows of steps at places of (planes, h, w + 1)."""
    height, width = size
    flat = np.bincount(places, steps, minlength=planes * height * (width + 1))
    return np.asarray(np.cumsum(flat.reshape(planes, height, width + 1), axis=-1)[..., :width])
