"""Detections of one image, in its own pixels, from both looks at it or from the first one alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import contourpy
import numpy as np
import shapely
from numpy.typing import NDArray

from objectives.parts.text.decoding.bands import Bands, polygons
from objectives.parts.text.decoding.proposals import MAP_STRIDE, Components
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.decoding.suppression import suppressed
from objectives.parts.text.rectangles import Rectangles, corners, grown
from objectives.parts.text.regions import Detection
from objectives.parts.text.shrinking import grown_shapes

Array = NDArray[np.float64]
Shapes = NDArray[np.object_]
_LEAST_AREA = 1.0  # square pixels; smaller outlines are no detections


@dataclass(frozen=True)
class Original:
    """The image that a network's input was made from.

    Attributes:
        width: In pixels.
        height: In pixels.
        scale: Pixels of the network's input for one of the image.
    """

    width: int
    height: int
    scale: float = 1.0


def two_look_detections(
    found: Components,
    rois: Rectangles,
    second: Bands,
    original: Original,
    settings: DecodingSettings,
) -> tuple[Detection, ...]:
    """Polygons of the second look, best first; a RoI without a band gives its rectangle.

    The score is that of the component times the mean centre-line probability of the band, or the
    centre-line threshold where there is no band.

    Args:
        found: The first look's components.
        rois: (k, 6) rectangles of theirs that the second look sampled.
        second: Bands that the second look found in them.
        original: The image.
        settings: Its `of_rois` are those that `found` and `rois` were made with.

    Raises:
        ValueError: Components, RoIs and bands differ in number.
    """
    if not len(found.scores) == len(rois) == len(second.scores):
        raise ValueError(
            f"{len(found.scores)} components need as many RoIs and bands, got {len(rois)} and "
            f"{len(second.scores)}; decode both looks at one image together"
        )
    boxes = corners(grown(found.rectangles, settings.unclip))
    outlines = polygons(second, rois, settings.fiducial_points)
    rings = [box if ring is None else ring for ring, box in zip(outlines, boxes, strict=True)]
    banded = np.array([ring is not None for ring in outlines], dtype=np.bool_)
    scores = found.scores * np.where(banded, second.scores, settings.centre_line_threshold)
    return _finished(rings, scores, found.scores, original, settings)


def rectangle_detections(
    found: Components, original: Original, settings: DecodingSettings
) -> tuple[Detection, ...]:
    """The rectangles of the first look alone, grown by `unclip`: a control of the second one."""
    boxes = corners(grown(found.rectangles, settings.unclip))
    return _finished(list(boxes), found.scores, found.scores, original, settings)


def contour_detections(
    found: Components,
    kernel: NDArray[np.floating],
    original: Original,
    settings: DecodingSettings,
    stride: int = MAP_STRIDE,
) -> tuple[Detection, ...]:
    """Contours of the kernels, grown by `unclip` as one-stage detectors do: another control.

    Contours are those of the probabilities between pixels, not of pixels' edges.

    Args:
        found: The components of the map.
        kernel: (h, w) probabilities, as `components` got them.
    """
    threshold = settings.kernel_threshold
    rings = [_contour(found.labels, kernel, number, threshold) for number in found.numbers.tolist()]
    plain = np.array([shapely.polygons(ring * stride) for ring in rings], dtype=object)
    plain = shapely.simplify(_largest_pieces(plain), stride / 4)
    moved = _largest_pieces(grown_shapes(plain, settings.unclip))
    outlines = [shapely.get_coordinates(shapely.get_exterior_ring(one))[:-1] for one in moved]
    return _finished(outlines, found.scores, found.scores, original, settings)


def _contour(
    labels: NDArray[np.int32], kernel: NDArray[np.floating], number: int, threshold: float
) -> Array:
    """(n, 2) outer contour of one component, in pixels of the map."""
    rows, columns = np.nonzero(labels == number)
    top, left = rows.min(), columns.min()
    at = (slice(top, rows.max() + 1), slice(left, columns.max() + 1))
    own = np.where(labels[at] == number, kernel[at], 0.0).astype(np.float64)
    traced = contourpy.contour_generator(z=np.pad(own, 1)).lines(threshold)
    lines = [np.asarray(line, dtype=np.float64) for line in traced if len(line) > 3]
    extents = [float(np.prod(np.ptp(line, axis=0))) for line in lines]
    return np.asarray(lines[int(np.argmax(extents))] + (left - 0.5, top - 0.5))


def _finished(
    rings: Sequence[Array],
    scores: Array,
    first_scores: Array,
    original: Original,
    settings: DecodingSettings,
) -> tuple[Detection, ...]:
    """Outlines of the input as detections of the image: mended, clipped, one a text."""
    kept = np.flatnonzero(first_scores >= settings.score_threshold)
    full = [shapely.polygons(rings[index] / original.scale) for index in kept.tolist()]
    shapes = _clipped(_largest_pieces(np.array(full, dtype=object)), original)
    large = shapely.area(shapes) > _LEAST_AREA
    shapes, kept = shapes[large], kept[large]
    best = suppressed(shapes, scores[kept], iou=settings.nms_iou, containment=settings.containment)
    return tuple(
        Detection(
            shapely.get_coordinates(shapely.get_exterior_ring(shapes[index]))[:-1],
            float(scores[kept[index]]),
        )
        for index in best.tolist()
    )


def _clipped(shapes: Shapes, original: Original) -> Shapes:
    """Valid polygons without what lies outside the image."""
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    limits = np.array([0.0, 0.0, original.width, original.height])
    outside = (bounds[:, :2] < limits[:2]).any(axis=1) | (bounds[:, 2:] > limits[2:]).any(axis=1)
    found = shapes.copy()
    image = shapely.box(*limits)
    found[outside] = _largest_pieces(shapely.intersection(shapes[outside], image))
    return found


def _largest_pieces(shapes: Shapes) -> Shapes:
    """(k,) valid polygons: each as it is, or the largest piece that even-odd filling leaves of it;
    an empty one where nothing is left.
    """
    found = np.asarray(shapes, dtype=object).copy()
    simple = shapely.is_valid(found) & (shapely.get_type_id(found) == 3)
    for index in np.flatnonzero(~simple).tolist():
        pieces = shapely.get_parts(shapely.make_valid(found[index]))
        pieces = pieces[shapely.get_type_id(pieces) == 3]
        areas = shapely.area(pieces)
        found[index] = pieces[int(areas.argmax())] if len(pieces) else shapely.Polygon()
    return found
