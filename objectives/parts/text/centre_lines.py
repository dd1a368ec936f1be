"""The geometry of a text line: its two sides, and centre line, scale and directions between them.

Our reconstruction of the attributes that "All You Need is a Second Look" names (text centre line,
text-line orientation, character scale, character orientation); its own label rules are unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIDE_POINTS = 32  # of a side that labels are made from
END_SHRINK = 0.25  # strokes that labels leave out at each end of a line, and decoding puts back
END_SHRINK_OF_LENGTH = 0.1  # and never more of the line's length than this
_LONG = 4.0  # length of a RoI's grid over its height, by default
_UPRIGHT = 0.27  # a chord with |x| below this times |y| is read downwards


@dataclass(frozen=True, eq=False)
class CentreLines:
    """Attributes along k lines, of m points each.

    Attributes:
        centres: (k, m, 2) points of the centre line, in reading direction.
        scales: (k, m) lengths of the whole stroke from the lower to the upper side.
        strokes: (k, m, 2) unit vectors from the lower to the upper side ("phi").
        tangents: (k, m, 2) unit vectors of the centre line, in reading direction ("theta").
    """

    centres: Array
    scales: Array
    strokes: Array
    tangents: Array


def sides(polygon: Array, *, annotated: bool = False, measure: Array | None = None) -> Array:
    """(2, m, 2): the two long sides of a text's outline, point by point opposite each other.

    Of all ways to cut an outline of an even number of points into halves, the one of least mean
    stroke; of an odd number, the longest edge first gets a point in its middle.

    Args:
        polygon: (n, 2), n >= 3, in either direction.
        annotated: True if the halves stand in the file, as in CTW1500: the first n/2 points are
            one side, the rest the other one, backwards.
        measure: (2, 2) linear map under which strokes are compared; none leaves them as they are.

    Raises:
        ValueError: Fewer than three points.
    """
    points = np.asarray(polygon, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        raise ValueError(
            f"a text's outline has the shape (n, 2) with n >= 3, got {points.shape}; leave out "
            "regions without an area"
        )
    if len(points) % 2:
        edges = np.roll(points, -1, axis=0) - points
        longest = int(np.hypot(edges[:, 0], edges[:, 1]).argmax())
        points = np.insert(points, longest + 1, points[longest] + edges[longest] / 2, axis=0)
    n = len(points)
    half, first = np.arange(n // 2), np.arange(1 if annotated else n // 2)[:, None]
    one, other = points[(first + half) % n], points[(first + n - 1 - half) % n]
    strokes = one - other if measure is None else (one - other) @ measure.T
    best = int(np.hypot(strokes[..., 0], strokes[..., 1]).mean(axis=1).argmin())
    return np.stack([one[best], other[best]])


def resampled(line: Array, count: int) -> Array:
    """(count, 2) points of a polyline at equal steps of its length, both ends among them."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    at = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0.0, at[-1], count)
    return np.stack([np.interp(wanted, at, line[:, 0]), np.interp(wanted, at, line[:, 1])], axis=1)


def sampled_sides(polygon: Array, count: int = SIDE_POINTS, *, annotated: bool = False) -> Array:
    """(2, count, 2): upper and lower side in reading direction, at equal steps of each."""
    pair = sides(polygon, annotated=annotated)
    found = np.stack([resampled(side, count) for side in pair])
    return np.asarray(in_reading_direction(found[None])[0])


def framed_sides(polygon: Array, rectangle: Array, count: int = SIDE_POINTS) -> Array:
    """(2, 2, count, 2): the sides as the frame of a text's rectangle sees them, and as it would be
    seen with long and short axis exchanged.

    A frame of 1:4 stretches a square word fourfold; cut by its strokes in the image, the word may
    run across the frame, in a band that is wider than long. Of a square two detectors, or two
    jittered rectangles, find different long axes, so labels choose in the frame they are for.

    Args:
        polygon: (n, 2), n >= 3.
        rectangle: (6,) around it.
        count: Points of each side.
    """
    u_x, u_y, w, h = rectangle[2:]
    axes = np.array([[u_x, u_y], [-u_y, u_x]]) / np.maximum([[w], [h]], 1e-9)
    stretches = np.array([[[_LONG], [1.0]], [[1.0], [_LONG]]])
    pairs = [sides(polygon, measure=stretch * axes) for stretch in stretches]
    return np.stack([np.stack([resampled(side, count) for side in pair]) for pair in pairs])


def best_in_frame(framed_kvsmd: Array) -> Array:
    """(k, 2, m, 2): of (k, 2, 2, m, 2) sides in cells, those of `framed_sides` whose mean stroke is
    the shorter one, in reading direction.
    """
    strokes = framed_kvsmd[:, :, 0] - framed_kvsmd[:, :, 1]
    means = np.hypot(strokes[..., 0], strokes[..., 1]).mean(axis=-1)
    return in_reading_direction(framed_kvsmd[np.arange(len(means)), means.argmin(axis=1)])


def in_reading_direction(sides_ksmd: Array) -> Array:
    """(k, 2, m, 2) pairs of sides in a fixed direction, upper side first.

    The chord from the first to the last centre has x >= 0, or y >= 0 where it is nearly upright;
    the upper side is on the left of it as one reads, whatever the outline's direction was.
    """
    chord = (sides_ksmd[:, :, -1] - sides_ksmd[:, :, 0]).mean(axis=1)
    upright = np.abs(chord[:, 0]) < _UPRIGHT * np.abs(chord[:, 1])
    backwards = np.where(upright, chord[:, 1], chord[:, 0]) < 0
    found = np.where(backwards[:, None, None, None], sides_ksmd[:, :, ::-1], sides_ksmd)
    ring = np.concatenate([found[:, 0], found[:, 1, ::-1]], axis=1)
    swapped = signed_areas(ring) < 0
    return np.where(swapped[:, None, None, None], found[:, ::-1], found)


def signed_areas(rings_kpd: Array) -> Array:
    """(k,) shoelace areas of (k, p, 2) rings: positive where they go clockwise as seen, y down."""
    x, y = rings_kpd[..., 0], rings_kpd[..., 1]
    x, y = x - x[..., :1], y - y[..., :1]
    following = np.roll(x, -1, axis=-1), np.roll(y, -1, axis=-1)
    return np.asarray(0.5 * (x * following[1] - following[0] * y).sum(axis=-1))


def centre_lines(sides_ksmd: Array) -> CentreLines:
    """Attributes of (k, 2, m, 2) sides, m >= 2, in the coordinates that the sides have."""
    upper, lower = sides_ksmd[:, 0], sides_ksmd[:, 1]
    centres, strokes = (upper + lower) / 2, upper - lower
    return CentreLines(
        centres,
        np.hypot(strokes[..., 0], strokes[..., 1]),
        unit(strokes, (0.0, -1.0)),
        unit(np.gradient(centres, axis=1), (1.0, 0.0)),
    )


def unit(vectors: Array, otherwise: tuple[float, float]) -> Array:
    """Vectors of length 1; `otherwise` in place of those of length 0."""
    lengths = np.hypot(vectors[..., 0], vectors[..., 1])[..., None]
    return np.where(lengths > 0, vectors / np.where(lengths > 0, lengths, 1.0), otherwise)


def outlines(lines: CentreLines) -> Array:
    """(k, 2m, 2) polygons: the upper side forwards, then the lower one backwards."""
    half = lines.scales[..., None] / 2 * lines.strokes
    return np.concatenate([lines.centres + half, (lines.centres - half)[:, ::-1]], axis=1)


def without_ends(sides_ksmd: Array) -> Array:
    """The sides between a quarter of a stroke from the one end and from the other.

    At most a tenth of the line's length is left out at an end: in a frame that stretches the line
    across, half a stroke can be longer than all of it. Points are at equal steps of the centre
    line.
    """
    lines = centre_lines(sides_ksmd)
    steps = np.hypot(*np.moveaxis(np.diff(lines.centres, axis=1), -1, 0))
    at = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    length = at[:, -1:]
    ends = end_shrinks(lines.scales[:, [0, -1]], length)
    share = np.linspace(0.0, 1.0, at.shape[1])
    wanted = ends[:, :1] + share * (length - ends.sum(axis=1, keepdims=True))
    before = (at[:, None, 1:-1] <= wanted[:, :, None]).sum(axis=-1)
    start = np.take_along_axis(at, before, axis=1)
    step = np.take_along_axis(steps, before, axis=1)
    part = np.divide(wanted - start, step, out=np.zeros_like(step), where=step > 0)
    index = before[:, None, :, None]
    first = np.take_along_axis(sides_ksmd, index, axis=2)
    last = np.take_along_axis(sides_ksmd, index + 1, axis=2)
    return np.asarray(first + part[:, None, :, None] * (last - first))


def end_shrinks(end_scales: Array, length: Array) -> Array:
    """Length that labels leave out at each end: (k, 2) of strokes (k, 2) and lines (k, 1)."""
    return np.minimum(END_SHRINK * end_scales, END_SHRINK_OF_LENGTH * length)


def end_extensions(end_scales: Array, shrunk_length: Array) -> Array:
    """The inverse of `end_shrinks`: (k, 2) of strokes (k, 2) and lengths without ends (k, 1)."""
    length = shrunk_length
    for _ in range(12):  # a contraction by 2 * END_SHRINK_OF_LENGTH each time
        length = shrunk_length + end_shrinks(end_scales, length).sum(axis=1, keepdims=True)
    return end_shrinks(end_scales, length)
