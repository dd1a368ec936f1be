"""Areas that many pairs of polygons share, in closed form.

A simple ring's inside is the signed sum of the strips below its edges, so the common area of two
rings is a sum over pairs of edges. With l(x) the height of an edge and s the sign of its direction
in x, everything but the distance of the two edges cancels over closed rings, and

    area(A and B) = 1/2 |sum_ij s_i s_j integral |l_i(x) - l_j(x)| dx|

over the x that both edges have: no clipping, no case for convex or not, a few array operations for
thousands of pairs. Rings that cross themselves have no inside in this sense; they go to GEOS, by
the rule of `Polygons.shapes`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from objectives.parts.text.polygons import Polygons, Rule

Places = NDArray[np.int64]
_BLOCK = 1 << 14  # pairs of edges at once: 128 kB an array, so that all of them stay in the cache
_TINY = 1e-300  # in the place of a sum that is 0
_STEP = 2  # rings are padded to a multiple of so many edges, so that few forms of blocks occur


def overlapping(
    first: Polygons, second: Polygons, images: tuple[Places, Places]
) -> tuple[Places, Places]:
    """Pairs of the same image whose boxes share an area: places in `first` and in `second`, sorted.

    One STRtree serves the whole set: the boxes of each image are moved away from those of others.

    Args:
        first: Polygons of any number of images.
        second: Polygons of the same images.
        images: For each of the two, (k,) the number of the image that a polygon belongs to.
    """
    sets = (first, second)
    there = [np.flatnonzero(polygons.sizes) for polygons in sets]
    if not len(there[0]) or not len(there[1]):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    used = [polygons.boxes[places] for polygons, places in zip(sets, there, strict=True)]
    left = min(box[:, 0].min() for box in used)
    width = max(box[:, 2].max() for box in used) - left + 1.0
    moved = []
    for box, places, image in zip(used, there, images, strict=True):
        shift = image[places] * width - left
        x0, y0, x1, y1 = box.T
        moved.append(shapely.box(x0 + shift, y0, x1 + shift, y1))
    seconds, firsts = shapely.STRtree(moved[0]).query(moved[1])
    i, j = there[0][firsts], there[1][seconds]
    # Again on the boxes where they are: moving rounds, and boxes that only touch share nothing.
    low = np.maximum(first.boxes[i, :2], second.boxes[j, :2])
    high = np.minimum(first.boxes[i, 2:], second.boxes[j, 2:])
    share = (low < high).all(axis=1) & (images[0][i] == images[1][j])
    i, j = i[share], j[share]
    order = np.lexsort((j, i))
    return i[order], j[order]


def areas_shared(
    first: Polygons, second: Polygons, i: Places, j: Places, rule: Rule = "even_odd"
) -> NDArray[np.float64]:
    """(p,) area that polygon i[p] of `first` and polygon j[p] of `second` have in common."""
    shared = np.zeros(len(i))
    simple = first.simple[i] & second.simple[j]
    crossing = np.flatnonzero(~simple)
    if len(crossing):
        ones, others = first.shapes(rule)[i[crossing]], second.shapes(rule)[j[crossing]]
        shared[crossing] = shapely.area(shapely.intersection(ones, others))
    edges = _edges(first), _edges(second)
    for pairs, n, m in _blocks(first.sizes[i], second.sizes[j], np.flatnonzero(simple)):
        ones = _padded(edges[0], first, i[pairs], n)[:, :, :, None]
        others = _padded(edges[1], second, j[pairs], m)[:, :, None, :]
        shared[pairs] = np.abs(_distances(ones, others)) / 2.0
    return np.minimum(shared, np.minimum(_covered(first, i), _covered(second, j)))


def _covered(polygons: Polygons, places: Places) -> NDArray[np.float64]:
    """(p,) greatest area that a polygon can share: its own, where rounding could say more; of a
    ring that crosses itself any.
    """
    return np.where(polygons.simple[places], polygons.areas[places], np.inf)


def _blocks(n: Places, m: Places, pairs: Places) -> Iterator[tuple[Places, int, int]]:
    """Pairs in blocks of like sizes, with the number of edges that each ring is padded to."""
    rows, columns = (np.maximum(-(-sizes[pairs] // _STEP), 1) * _STEP for sizes in (n, m))
    order = np.lexsort((columns, rows))
    changes = (np.diff(rows[order]) != 0) | (np.diff(columns[order]) != 0)
    for members in np.split(order, np.flatnonzero(changes) + 1) if len(order) else ():
        height, width = int(rows[members[0]]), int(columns[members[0]])
        many = max(1, _BLOCK // (height * width))
        for begin in range(0, len(members), many):
            yield pairs[members[begin : begin + many]], height, width


def _edges(polygons: Polygons) -> NDArray[np.float64]:
    """(5, v + 1): left and right x, slope, height at x = 0, sign of the direction in x. Vertical
    edges have sign 0, as has the last one, which pads.
    """
    start, end = polygons.points.T, polygons.points[polygons.following].T
    run = end[0] - start[0]
    slope = np.divide(end[1] - start[1], run, out=np.zeros_like(run), where=run != 0)
    edges = np.zeros((5, len(run) + 1))
    edges[0, :-1] = np.minimum(start[0], end[0])
    edges[1, :-1] = np.maximum(start[0], end[0])
    edges[2, :-1] = slope
    edges[3, :-1] = start[1] - slope * start[0]
    edges[4, :-1] = np.sign(run)
    return edges


def _padded(
    edges: NDArray[np.float64], polygons: Polygons, places: Places, size: int
) -> NDArray[np.float64]:
    """(5, p, size) edges of the polygons at `places`."""
    within = np.arange(size)
    at = polygons.starts[places][:, None] + within
    at[within >= polygons.sizes[places][:, None]] = edges.shape[1] - 1
    return edges[:, at]


def _distances(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """(p,) the sum of the module's formula, of edges (5, p, n, 1) and (5, p, 1, m).

    Over the x that both have, |l_i - l_j| is one line, or two that meet at 0 where the edges cross:
    with the distances a and b at the ends its mean is (|a| + |b|) / 2, or, if their signs differ,
    (a^2 + b^2) / (2 (|a| + |b|)), which is (|a| + |b|) / 2 + a b / (|a| + |b|).
    """
    left = np.maximum(one[0], other[0])
    width = np.minimum(one[1], other[1])
    width -= left
    np.maximum(width, 0.0, out=width)
    slope = one[2] - other[2]
    at_left = left
    at_left *= slope
    at_left += one[3] - other[3]
    at_right = slope
    at_right *= width
    at_right += at_left
    crossing = np.minimum(at_left * at_right, 0.0)
    total = np.abs(at_left, out=at_left)
    total += np.abs(at_right, out=at_right)
    crossing /= np.maximum(total, _TINY, out=at_right)
    total *= 0.5
    total += crossing
    total *= width
    signed = np.matmul(total, other[4].swapaxes(1, 2))
    return np.asarray((signed * one[4]).sum(axis=(1, 2)))
