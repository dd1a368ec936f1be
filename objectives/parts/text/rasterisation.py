"""Polygons as masks: a pixel belongs to a polygon that its centre lies in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def filled(rings: Sequence[NDArray[np.float64]], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(k, h, w): each ring filled on a plane of its own, also where it crosses itself.

    Inside is where the winding number is not 0, in whichever direction the ring goes. Rings may
    leave the plane, or lie outside; those of fewer than three points fill nothing.

    Args:
        rings: (n, 2) each, x and y in pixels of the plane, (0, 0) its corner.
        size: Rows and columns of a plane.
    """
    height, width = size
    if not rings:
        return np.zeros((0, height, width), dtype=np.bool_)
    counts = np.array([len(ring) for ring in rings])
    start = np.concatenate([np.asarray(ring, dtype=np.float64).reshape(-1, 2) for ring in rings])
    following = np.arange(1, len(start) + 1)
    full = counts > 0
    ends = np.cumsum(counts)
    following[ends[full] - 1] = (ends - counts)[full]
    stop = start[following]
    owner = np.repeat(np.arange(len(rings)), counts)
    low = np.ceil(np.minimum(start[:, 1], stop[:, 1]) - 0.5).clip(0, height).astype(np.int64)
    high = np.ceil(np.maximum(start[:, 1], stop[:, 1]) - 0.5).clip(0, height).astype(np.int64)
    # One entry for every edge and row whose centre line it crosses.
    crossed = high - low
    edge = np.repeat(np.arange(len(start)), crossed)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed) + low[edge]
    run, rise = stop[edge, 0] - start[edge, 0], stop[edge, 1] - start[edge, 1]
    x = start[edge, 0] + (row + 0.5 - start[edge, 1]) * run / rise
    column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
    flat = (owner[edge] * height + row) * (width + 1) + column
    steps = np.bincount(flat, np.sign(rise), minlength=len(rings) * height * (width + 1))
    winding = np.cumsum(steps.reshape(len(rings), height, width + 1), axis=-1)
    return np.asarray(winding[..., :width] != 0)
