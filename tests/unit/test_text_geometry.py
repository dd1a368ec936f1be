"""Rectangles, frames, sides, reading direction, ends, shrinking, filling."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from objectives.parts.text.centre_lines import (
    centre_lines,
    end_extensions,
    end_shrinks,
    framed_sides,
    outlines,
    resampled,
    sampled_sides,
    sides,
    without_ends,
)
from objectives.parts.text.rasterisation import filled, touched
from objectives.parts.text.rectangles import (
    canonical,
    corners,
    from_frame,
    grown,
    min_area_rectangles,
    padded,
    rectangle_ious,
    to_frame,
)
from objectives.parts.text.shrinking import grown_shapes, shrunk
from tests.text_scenes import arc, box, ious


def test_the_rectangle_of_a_turned_box_is_that_box() -> None:
    shapes = [shapely.polygons(box(50, 40, 60, 20, degrees)) for degrees in range(0, 180, 15)]
    found = min_area_rectangles(shapes)
    assert found[:, :2] == pytest.approx(np.tile([50.0, 40.0], (12, 1)))
    assert found[:, 4:] == pytest.approx(np.tile([60.0, 20.0], (12, 1)))
    assert (found[:, 2] >= 0).all()
    assert np.hypot(found[:, 2], found[:, 3]) == pytest.approx(np.ones(12))


def test_rectangles_of_points_lines_and_nothing_are_degenerate() -> None:
    shapes = [shapely.Point(3, 4), shapely.LineString([(0, 0), (3, 4)]), shapely.Polygon()]
    point, line, nothing = min_area_rectangles(shapes)
    assert point.tolist() == [3.0, 4.0, 1.0, 0.0, 0.0, 0.0]
    assert line == pytest.approx([1.5, 2.0, 0.6, 0.8, 5.0, 0.0])
    assert np.isnan(nothing).all()
    assert min_area_rectangles([]).shape == (0, 6)


def test_an_upright_rectangle_has_its_axis_downwards() -> None:
    assert (
        canonical(np.array([[5.0, 5, 1, 0, 10, 30], [5, 5, 0, -1, 30, 10]])).tolist()
        == [[5.0, 5.0, 0.0, 1.0, 30.0, 10.0]] * 2
    )


def test_corners_stand_in_the_frames_order() -> None:
    rectangle = np.array([[50.0, 40, 1, 0, 60, 20]])
    assert corners(rectangle).tolist() == [[[20.0, 30], [80, 30], [80, 50], [20, 50]]]
    assert to_frame(corners(rectangle), rectangle, (16, 64)).tolist() == [
        [[0.0, 0], [64, 0], [64, 16], [0, 16]]
    ]


def test_growing_and_padding_move_every_side() -> None:
    rectangle = np.array([[0.0, 0, 1, 0, 60, 20]])
    distance = 1200 * 1.5 / 160
    assert grown(rectangle, 1.5)[0, 4:] == pytest.approx([60 + 2 * distance, 20 + 2 * distance])
    assert padded(rectangle, 0.1)[0, 4:] == pytest.approx([72.0, 24.0])


def test_turning_a_rectangle_by_half_a_turn_flips_both_axes_of_its_frame() -> None:
    rectangle = np.array([[50.0, 40, 0.8, 0.6, 60, 20]])
    turned = rectangle * [1, 1, -1, -1, 1, 1]
    points = arc()[None]
    assert to_frame(points, turned, (16, 64)) == pytest.approx(
        np.array([64.0, 16.0]) - to_frame(points, rectangle, (16, 64))
    )


def test_the_iou_of_rectangles_is_that_of_their_polygons() -> None:
    a = min_area_rectangles([shapely.polygons(box(0, 0, 60, 20)), shapely.polygons(arc())])
    b = min_area_rectangles([shapely.polygons(box(9, 3, 50, 30, 20)), shapely.Point(0, 0)])
    found = rectangle_ious(a, b)
    assert found[0, 0] == pytest.approx(ious([corners(a)[0]], [corners(b)[0]])[0])
    assert found[1].tolist() == [0.0, 0.0]
    assert rectangle_ious(a[:0], b).shape == (0, 2)


@pytest.mark.parametrize("first", range(4))
@pytest.mark.parametrize("step", [1, -1])
def test_sides_do_not_depend_on_the_outlines_direction_or_start(first: int, step: int) -> None:
    plain = sampled_sides(arc(), 8)
    moved = np.roll(arc(), first, axis=0)[::step]
    assert sampled_sides(moved, 8) == pytest.approx(plain)
    upper, lower = plain
    assert (upper[:, 1] < lower[:, 1])[2:-2].all()
    assert upper[0, 0] < upper[-1, 0]


def test_annotated_halves_are_taken_as_they_are() -> None:
    ring = np.roll(arc(points=7), 1, axis=0)
    assert sides(ring, annotated=True)[0].tolist() == ring[:7].tolist()
    assert sides(ring)[0].tolist() != ring[:7].tolist()


def test_an_odd_outline_gets_a_point_in_the_middle_of_its_longest_edge() -> None:
    pair = sides(np.array([[0.0, 0], [40, 0], [40, 10], [20, 12], [0, 10]]))
    assert [20.0, 0.0] in pair.reshape(-1, 2).tolist()


def test_a_line_is_read_to_the_right_or_downwards_where_it_is_upright() -> None:
    for degrees in range(0, 360, 10):
        line = centre_lines(sampled_sides(box(50, 50, 60, 10, degrees))[None])
        chord = line.centres[0, -1] - line.centres[0, 0]
        upright = abs(chord[0]) < 0.27 * abs(chord[1])
        assert chord[1 if upright else 0] > 0
        # The stroke points to the left of the line as one reads.
        cross = line.tangents[0, :, 0] * line.strokes[0, :, 1]
        cross -= line.tangents[0, :, 1] * line.strokes[0, :, 0]
        assert cross == pytest.approx(-np.ones(32))


def test_two_points_have_no_sides() -> None:
    with pytest.raises(ValueError, match=r"n >= 3, got \(2, 2\)"):
        sides(np.zeros((2, 2)))


def test_sides_run_along_the_frame_also_of_a_square_word() -> None:
    square = box(50, 50, 20, 21)
    rectangle = min_area_rectangles([shapely.polygons(square)])
    along, across = to_frame(framed_sides(square, rectangle[0]), rectangle, (32, 128))
    strokes = [float(np.hypot(*(pair[0] - pair[1]).T).mean()) for pair in (along, across)]
    assert strokes == pytest.approx([32.0, 128.0])


def test_resampling_keeps_the_ends_and_takes_equal_steps() -> None:
    line = resampled(np.array([[0.0, 0], [10, 0], [10, 0], [10, 30]]), 5)
    assert line.tolist() == [[0, 0], [10, 0], [10, 10], [10, 20], [10, 30]]


def test_an_outline_comes_back_from_its_own_centre_line() -> None:
    ring = arc(points=7)
    rebuilt = outlines(centre_lines(sampled_sides(ring, 7)[None]))[0]
    assert ious([ring], [rebuilt])[0] > 0.999


def test_a_line_without_ends_is_shorter_by_a_quarter_of_a_stroke_each() -> None:
    pair = without_ends(sampled_sides(box(50, 50, 60, 10))[None])
    assert pair[0, 0, [0, -1], 0] == pytest.approx([22.5, 77.5])
    short = without_ends(sampled_sides(box(50, 50, 12, 10))[None])
    assert short[0, 0, [0, -1], 0] == pytest.approx([45.2, 54.8])


@pytest.mark.parametrize("scales", [(10.0, 10.0), (10.0, 90.0), (90.0, 90.0)])
def test_ends_are_put_back_as_they_were_left_out(scales: tuple[float, float]) -> None:
    strokes, length = np.array([scales]), np.array([[100.0]])
    ends = end_shrinks(strokes, length)
    assert end_extensions(strokes, length - ends.sum()) == pytest.approx(ends)


def test_shrinking_and_growing_move_a_square_by_its_own_distance() -> None:
    square = np.array([shapely.box(0, 0, 40, 40)])
    distance = 1600 * (1 - 0.4**2) / 160
    assert shrunk(square)[0].bounds == pytest.approx((distance, distance, *[40 - distance] * 2))
    assert grown_shapes(square, 1.6)[0].bounds == pytest.approx((-16.0, -16.0, 56.0, 56.0))
    assert shrunk(np.array([shapely.Polygon()]))[0].is_empty


def test_a_pixel_is_filled_where_its_centre_is_inside() -> None:
    ring = np.array([[1.4, 0.6], [4.6, 0.6], [4.6, 2.5], [1.4, 2.5]])
    mask = filled([ring, ring[::-1], np.zeros((2, 2)), ring + 100], (4, 6))
    assert np.argwhere(mask[0]).tolist() == [[1, 1], [1, 2], [1, 3], [1, 4]]
    assert (mask[1] == mask[0]).all()
    assert not mask[2:].any()
    assert filled([], (4, 6)).shape == (0, 4, 6)


def test_what_leaves_the_plane_is_filled_up_to_its_border() -> None:
    mask = filled([np.array([[-50.0, -50], [3, -50], [3, 50], [-50, 50]])], (4, 6))
    assert mask[0, :, :3].all()
    assert not mask[0, :, 3:].any()


def test_an_outline_that_crosses_itself_is_filled_on_both_sides() -> None:
    bow_tie = np.array([[0.0, 0], [8, 8], [8, 0], [0, 8]])
    mask = filled([bow_tie], (8, 8))[0]
    assert mask[4, 1]
    assert mask[4, 6]
    assert not mask[1, 4]


def test_frames_are_left_as_they_were_entered() -> None:
    rectangles = min_area_rectangles([shapely.polygons(arc()), shapely.polygons(box(9, 9, 40, 8))])
    points = np.random.default_rng(0).uniform(-50, 200, (2, 5, 3, 2))
    there = to_frame(points, rectangles, (16, 64))
    assert from_frame(there, rectangles, (16, 64)) == pytest.approx(points)


def test_every_pixel_that_an_outline_passes_is_touched() -> None:
    ring = np.array([[1.4, 0.6], [4.6, 0.6], [4.6, 2.5], [1.4, 2.5]])
    thin = np.array([[0.2, 0.2], [3.8, 3.8], [0.3, 0.2]])
    one, line, far, two_points = touched([ring, thin, ring + 100, ring[:2]], (4, 6))
    assert one[:3, 1:5].all()
    assert one.sum() == 12
    assert line[range(4), range(4)].all()
    assert not far.any()
    assert not two_points.any()
    assert touched([], (4, 6)).shape == (0, 4, 6)


def test_what_is_touched_outside_the_plane_does_not_come_back_at_its_border() -> None:
    left = np.array([[-9.0, 1], [-2, 1], [-2, 3], [-9, 3]])
    for ring in (left, -left + 20, left[:, ::-1], -left[:, ::-1] + 20):
        assert not touched([ring], (4, 6)).any()
