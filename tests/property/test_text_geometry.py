"""Laws of text geometry, for any outline and any rectangle."""

from __future__ import annotations

import numpy as np
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from evoray.training.tasks.parts.text_labels import batch_labels
from evoray.training.tasks.parts.text_rois import roi_labels, training_rois
from objectives.parts.text.centre_lines import (
    end_extensions,
    end_shrinks,
    sampled_sides,
)
from objectives.parts.text.decoding.bands import bands, polygons
from objectives.parts.text.decoding.suppression import suppressed
from objectives.parts.text.rasterisation import filled, touched
from objectives.parts.text.rectangles import (
    canonical,
    corners,
    from_frame,
    grown,
    min_area_rectangles,
    to_frame,
)
from objectives.parts.text.regions import TextRegion
from tests.text_scenes import arc

coordinates = st.floats(-300, 600, allow_nan=False).map(lambda value: round(value, 2))
rings = hnp.arrays(np.float64, st.tuples(st.integers(0, 9), st.just(2)), elements=coordinates)
rectangles = st.builds(
    lambda x, y, angle, w, h: canonical(np.array([[x, y, np.cos(angle), np.sin(angle), w, h]])),
    coordinates,
    coordinates,
    st.floats(-4, 4),
    st.floats(1, 300),
    st.floats(1, 300),
)
arcs = st.builds(
    lambda radius, height, start, width, points: arc(
        (128, 128), radius, height * radius, (start, start + width), points
    ),
    st.floats(20, 120),
    st.floats(0.1, 0.25),  # four times as long as high: a stubby one may be cut in two equal ways
    st.floats(0, 360),
    st.floats(60, 200),
    st.integers(4, 12),
)


@settings(deadline=None)
@given(hnp.arrays(np.float64, st.tuples(st.integers(1, 12), st.just(2)), elements=coordinates))
def test_a_rectangle_holds_its_points_and_is_no_larger_than_the_upright_one(
    points: np.ndarray,
) -> None:
    [rectangle] = min_area_rectangles([shapely.multipoints(points)])
    assert rectangle[2] >= 0
    assert rectangle[4] >= rectangle[5] >= 0
    width, height = np.ptp(points, axis=0)
    assert rectangle[4] * rectangle[5] <= width * height + 1e-6
    d_x, d_y = (points - rectangle[:2]).T
    assert np.abs(d_x * rectangle[2] + d_y * rectangle[3]).max() <= rectangle[4] / 2 + 1e-6
    assert np.abs(d_y * rectangle[2] - d_x * rectangle[3]).max() <= rectangle[5] / 2 + 1e-6


@settings(deadline=None)
@given(rectangles, hnp.arrays(np.float64, (1, 5, 2), elements=coordinates))
def test_a_frame_is_left_as_it_was_entered(rectangle: np.ndarray, points: np.ndarray) -> None:
    there = to_frame(points, rectangle, (16, 64))
    assert np.allclose(from_frame(there, rectangle, (16, 64)), points, atol=1e-6)
    assert np.allclose(canonical(rectangle), rectangle)


@settings(deadline=None)
@given(rectangles, st.floats(0, 3))
def test_a_grown_rectangle_covers_the_one_it_grew_from(
    rectangle: np.ndarray, unclip: float
) -> None:
    inner, outer = (
        shapely.polygons(corners(one))[0] for one in (rectangle, grown(rectangle, unclip))
    )
    assert outer.buffer(1e-6).covers(inner)


@settings(deadline=None)
@given(arcs, st.integers(0, 23), st.booleans())
def test_sides_are_the_same_from_every_corner_in_either_direction(
    ring: np.ndarray, first: int, backwards: bool
) -> None:
    moved = np.roll(ring, first, axis=0)
    plain = sampled_sides(ring)
    assert np.allclose(sampled_sides(moved[::-1] if backwards else moved), plain, atol=1e-6)


@settings(deadline=None)
@given(st.floats(0, 200), st.floats(0, 200), st.floats(0.1, 500))
def test_ends_come_back_as_they_were_left_out(first: float, last: float, length: float) -> None:
    scales, whole = np.array([[first, last]]), np.array([[length]])
    ends = end_shrinks(scales, whole)
    assert np.allclose(end_extensions(scales, whole - ends.sum()), ends, atol=1e-6)


@settings(deadline=None)
@given(rings)
def test_filling_does_not_ask_for_the_direction(ring: np.ndarray) -> None:
    one, other = filled([ring, ring[::-1]], (40, 50))
    assert (one == other).all()
    more, again = touched([ring, ring[::-1]], (40, 50))
    assert (more == again).all()
    assert (more | ~one).all()


@settings(deadline=None)
@given(st.lists(rectangles, max_size=12))
def test_what_remains_neither_overlaps_nor_lies_inside(found: list[np.ndarray]) -> None:
    boxes = np.concatenate([np.zeros((0, 6)), *found])
    shapes = np.asarray(shapely.polygons(corners(boxes)))
    scores = np.linspace(1, 0, len(shapes))
    kept = suppressed(shapes, scores, iou=0.25, containment=0.8)
    assert len(shapes) == 0 or kept[0] == 0
    for place, a in enumerate(kept):
        for b in kept[place + 1 :]:
            shared = shapes[a].intersection(shapes[b]).area
            assert shared <= 0.25 * shapes[a].union(shapes[b]).area + 1e-6
            assert shared <= 0.8 * min(shapes[a].area, shapes[b].area) + 1e-6


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(rings, st.booleans()), max_size=4), st.integers(0, 9))
def test_labels_of_any_outlines_are_finite_and_decode(
    found: list[tuple[np.ndarray, bool]], seed: int
) -> None:
    regions = [TextRegion(ring, ignored=ignored) for ring, ignored in found]
    maps, lines = batch_labels([regions, []], (64, 64))
    assert bool((maps.text * (1 - maps.text) == 0).all())
    assert bool((maps.kernel <= maps.text).all())
    rois = training_rois(lines, np.zeros((0, 7)), np.random.default_rng(seed))
    labels = roi_labels(lines, torch.from_numpy(rois), (8, 32))
    geometry = labels.as_geometry()
    assert bool(geometry.isfinite().all())
    outlines = polygons(
        bands(labels.band.numpy(), geometry[:, 1:].numpy(), 0.5), rois[:, 1:].astype(float), 6
    )
    assert all(ring is None or np.isfinite(ring).all() for ring in outlines)
