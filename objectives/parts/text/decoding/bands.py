"""Polygons of the second look: centre-line bands of RoIs, put in order, binned, given back their
ends (our reconstruction; TextSnake steps along the line instead).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from objectives.parts.text.centre_lines import end_extensions, unit
from objectives.parts.text.rectangles import Rectangles, from_frame

Array = NDArray[np.float64]
_LEAST_CELLS = 4  # of a band; below, the rectangle stands for the text
_NEIGHBOURS = np.zeros((3, 3, 3), dtype=np.int64)  # eight in the plane, none in the next RoI
_NEIGHBOURS[1] = 1


@dataclass(frozen=True, eq=False)
class Bands:
    """Cells of the bands of k RoIs, one component each, in order along the line.

    It depends on the centre-line threshold alone, so a change of `fiducial_points` begins here.

    Attributes:
        size: Rows and columns of a RoI's grid.
        roi: (c,) RoI of each cell, ascending.
        position: (c,) geodesic distance from one end of the band, as a share of the longest.
        lengths: (k,) those longest distances, in cells.
        values: (c, 7) centre x, y, scale, cos and sin of phi, cos and sin of theta, in cells.
        scores: (k,) mean centre-line probability; 0 where there is no band.
    """

    size: tuple[int, int]
    roi: NDArray[np.int64]
    position: Array
    lengths: Array
    values: Array
    scores: Array


def bands(
    centre_line: NDArray[np.floating], geometry: NDArray[np.floating], threshold: float
) -> Bands:
    """The largest 8-connected component of each RoI's centre-line band, in order.

    Args:
        centre_line: (k, H, W) probabilities.
        geometry: (k, 5, H, W) s / H, cos phi, sin phi, cos theta, sin theta.
        threshold: Cells above it belong to the band.
    """
    k, height, width = centre_line.shape
    labels, count = ndimage.label(centre_line > threshold, structure=_NEIGHBOURS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    first_cells = np.full(count + 1, -1)
    roi, row, column = np.nonzero(labels)
    label = labels[roi, row, column]
    first_cells[label[::-1]] = np.arange(len(label))[::-1]
    home = np.full(count + 1, -1)
    home[label] = roi
    largest = np.zeros(k, dtype=np.int64)
    for number in np.argsort(sizes, kind="stable")[1:] if count else ():
        largest[home[number]] = number
    kept = (label == largest[roi]) & (sizes[label] >= _LEAST_CELLS)
    roi, row, column = roi[kept], row[kept], column[kept]
    counts = np.bincount(roi, minlength=k)
    distance = _distances(roi, row, column, (k, height, width))
    lengths = np.zeros(k)
    np.maximum.at(lengths, roi, distance)
    values = np.empty((len(roi), 7))
    values[:, 0], values[:, 1] = column + 0.5, row + 0.5
    values[:, 2:] = geometry[roi, :, row, column]
    values[:, 2] *= height
    sums = np.bincount(roi, centre_line[roi, row, column], minlength=k)
    return Bands(
        (height, width),
        roi,
        distance / np.maximum(lengths[roi], 1.0),
        lengths,
        values,
        sums / np.maximum(counts, 1),
    )


def _distances(
    roi: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    shape: tuple[int, int, int],
) -> Array:
    """(c,) geodesic distances of a band's cells from one of its ends; one graph holds all bands.

    The end is the farthest cell from any other one: sorting by x would fold arcs of more than
    half a circle.
    """
    if not len(roi):
        return np.zeros(0)
    k, height, width = shape
    number = np.full((k, height + 1, width + 2), -1)
    number[roi, row, column + 1] = np.arange(len(roi))
    edges = []
    for down, right, weight in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 2**0.5), (1, -1, 2**0.5)):
        other = number[roi, row + down, column + 1 + right]
        start = np.flatnonzero(other >= 0)
        edges.append((np.full(len(start), weight), start, other[start]))
    # Any cell of a band will do to find its ends from; a node beside them all starts there.
    hub, heads = len(roi), np.flatnonzero(np.diff(roi, prepend=-1))
    edges.append((np.ones(len(heads)), np.full(len(heads), hub), heads))
    weights, starts, stops = (np.concatenate(column) for column in zip(*edges, strict=True))
    graph = sparse.csr_array((weights, (starts, stops)), shape=(hub + 1, hub + 1))
    order = csgraph.breadth_first_order(graph, hub, directed=False, return_predecessors=False)[1:]
    ends = np.empty(k, dtype=np.int64)
    ends[roi[order]] = order  # the last one reached in each band stays
    graph = graph[:hub, :hub]
    return np.asarray(
        csgraph.dijkstra(graph, directed=False, indices=ends[roi[heads]], min_only=True)
    )


def polygons(found: Bands, rectangles: Rectangles, fiducial_points: int) -> list[Array | None]:
    """The polygon of each RoI in pixels of the input; None where its band is too small."""
    k, n = len(rectangles), fiducial_points
    cell = found.roi * n + np.minimum((found.position * n).astype(np.int64), n - 1)
    counts = np.bincount(cell, minlength=k * n).reshape(k, n)
    sums = [np.bincount(cell, column, minlength=k * n) for column in found.values.T]
    means = np.stack(sums, axis=1).reshape(k, n, 7) / np.maximum(counts, 1)[..., None]
    filled = counts > 0
    nums = filled.sum(axis=1)
    outlines: list[Array | None] = [None] * k
    for num in np.unique(nums[nums > 0]).tolist():  # short bands leave bins empty
        rois = np.flatnonzero(nums == num)
        points = _outlines(means[rois][filled[rois]].reshape(-1, num, 7), found.lengths[rois])
        for roi, ring in zip(
            rois.tolist(), from_frame(points, rectangles[rois], found.size), strict=True
        ):
            outlines[roi] = ring
    return outlines


def _outlines(means: Array, lengths: Array) -> Array:
    """(k, 2n + 4, 2) polygons in cells: the bins' strokes, and one more beyond each end.

    An end lies half a bin and the labels' end shrink away from the outermost bin's centre; half a
    bin is half the distance to the next centre, for geodesic distances count steps to the side
    too (on real outlines, mean IoU .97 where half of length / n gives .965).

    Args:
        means: (k, n, 7) mean values of the bins along the lines.
        lengths: (k,) of the bands, in cells.
    """
    ends = means[:, [0, -1]]
    tangents = unit(ends[..., 5:7], (1.0, 0.0))
    if means.shape[1] > 1:
        away = ends[..., :2] - means[:, [1, -2], :2]
        half_bins = np.hypot(away[..., 0], away[..., 1]) / 2
    else:
        away = tangents * np.array([-1.0, 1.0])[:, None]
        half_bins = np.repeat(lengths[:, None] / 2, 2, axis=1)
    sign = np.where((tangents * away).sum(axis=-1) < 0, -1.0, 1.0)
    reach = end_extensions(ends[..., 2], lengths[:, None] + 1.0) + half_bins
    added = ends.copy()
    added[..., :2] += tangents * (sign * reach)[..., None]
    full = np.concatenate([added[:, :1], means, added[:, 1:]], axis=1)
    half = full[..., 2:3] / 2 * unit(full[..., 3:5], (0.0, -1.0))
    return np.concatenate([full[..., :2] + half, (full[..., :2] - half)[:, ::-1]], axis=1)
