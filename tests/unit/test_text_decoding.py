"""Maps to proposals, bands to polygons, one detection a text, in pixels of the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from objectives.parts.text.decoding.bands import bands, polygons
from objectives.parts.text.decoding.detections import (
    Original,
    contour_detections,
    rectangle_detections,
    two_look_detections,
)
from objectives.parts.text.decoding.proposals import as_rois, components, roi_rows
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.decoding.suppression import suppressed
from objectives.parts.text.rasterisation import filled
from objectives.parts.text.rectangles import corners
from objectives.parts.text.regions import TextRegion
from tests.text_scenes import arc, box, curved_images, detections_from_labels, ious

SETTINGS = DecodingSettings()


def kernel_map(*rings: np.ndarray, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    return filled([ring / 4 for ring in rings], size).any(axis=0).astype(np.float32) * 0.9


def test_a_component_is_its_rectangle_in_pixels_of_the_input() -> None:
    found = components(kernel_map(box(120, 80, 100, 16)), SETTINGS)
    assert found.rectangles == pytest.approx(np.array([[120.0, 80, 1, 0, 100, 16]]), abs=2.1)
    assert found.scores == pytest.approx([0.9])
    turned = components(kernel_map(box(120, 80, 100, 24, 30)), SETTINGS)
    # Within a pixel of the map, which are four of the input.
    assert corners(turned.rectangles)[0] == pytest.approx(box(120, 80, 100, 24, 30), abs=4.0)


def test_small_components_are_dropped() -> None:
    kernel = np.zeros((16, 16))
    kernel[1, 1:10] = kernel[5, 1:11] = 1.0
    assert components(kernel, SETTINGS).rectangles[:, 1].tolist() == [22.0]


@pytest.mark.parametrize("kernel", [np.zeros((16, 16)), np.full((16, 16), np.nan)])
def test_a_map_without_components_proposes_nothing(kernel: np.ndarray) -> None:
    found = components(kernel, SETTINGS)
    assert found.rectangles.shape == (0, 6)
    assert roi_rows([as_rois(found, SETTINGS)]).shape == (0, 7)
    empty = bands(np.zeros((0, 16, 64)), np.zeros((0, 5, 16, 64)), 0.5)
    rois = as_rois(found, SETTINGS)
    assert two_look_detections(found, rois, empty, Original(64, 64), SETTINGS) == ()
    assert rectangle_detections(found, Original(64, 64), SETTINGS) == ()
    assert contour_detections(found, kernel, Original(64, 64), SETTINGS) == ()


def test_of_ten_thousand_components_the_hundred_best_are_kept() -> None:
    kernel = np.zeros((600, 600), dtype=np.float32)
    tiles = kernel.reshape(100, 6, 100, 6)
    scores = np.random.default_rng(0).uniform(0.5, 1.0, (100, 100)).astype(np.float32)
    tiles[:, :5, :, :5] = scores[:, None, :, None]
    found = components(kernel, SETTINGS)
    assert len(found.rectangles) == 100
    assert found.scores == pytest.approx(np.sort(scores.ravel())[::-1][:100])
    assert len(rectangle_detections(found, Original(2400, 2400), SETTINGS)) <= 100


def test_one_component_over_the_whole_map_is_one_proposal() -> None:
    found = components(np.ones((32, 64)), SETTINGS)
    assert found.rectangles.tolist() == [[128.0, 64.0, 1.0, 0.0, 256.0, 128.0]]
    [detection] = rectangle_detections(found, Original(256, 128), SETTINGS)
    assert shapely.polygons(detection.polygon).bounds == (0.0, 0.0, 256.0, 128.0)


def test_growth_and_padding_alone_make_a_roi_of_a_component() -> None:
    found = components(kernel_map(box(120, 80, 100, 16)), SETTINGS)
    plain = as_rois(found, replace(SETTINGS, unclip=0.0, padding=0.0))
    assert plain == pytest.approx(found.rectangles)
    assert (as_rois(found, SETTINGS)[:, 4:] > 1.2 * plain[:, 4:]).all()


def test_rois_depend_on_the_settings_that_say_so() -> None:
    assert replace(SETTINGS, fiducial_points=4, nms_iou=0.3).of_rois == SETTINGS.of_rois
    assert replace(SETTINGS, score_threshold=0.7).of_rois == SETTINGS.of_rois
    assert replace(SETTINGS, unclip=1.5).of_rois != SETTINGS.of_rois
    assert replace(SETTINGS, kernel_threshold=0.4).of_rois != SETTINGS.of_rois


@pytest.mark.parametrize(
    "wrong",
    [{"fiducial_points": 1}, {"kernel_threshold": 1.5}, {"unclip": -1.0}, {"max_proposals": 0}],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DecodingSettings(**wrong)  # type: ignore[arg-type]


def ring_outputs(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """A band along an arc around the middle of a 64 x 64 grid, and its geometry."""
    y, x = np.mgrid[:64, :64] + 0.5 - 32
    angle = np.rad2deg(np.arctan2(x, -y))  # 0 at the top, clockwise
    radius = np.hypot(x, y)
    band = (np.abs(radius - 22) < 2) & (np.abs(angle) < degrees / 2)
    ray = np.stack([x, y]) / radius
    geometry = np.stack([np.full((64, 64), 10 / 64), *ray, -ray[1], ray[0]])
    return band[None].astype(float), geometry[None]


@pytest.mark.parametrize("degrees", [60, 170, 300])
def test_arcs_are_followed_also_past_half_a_circle(degrees: float) -> None:
    centre_line, geometry = ring_outputs(degrees)
    frame = np.array([[32.0, 32, 1, 0, 64, 64]])
    [found] = polygons(bands(centre_line, geometry, 0.5), frame, 12)
    assert found is not None
    # Labels leave out a quarter of a stroke of 10 at each end.
    more = np.rad2deg(2 * 2.5 / 22)
    expected = arc((32, 32), 22, 10, (-90 - (degrees + more) / 2, -90 + (degrees + more) / 2), 40)
    assert ious([expected], [found])[0] > 0.9


def test_the_largest_component_of_a_band_is_the_text() -> None:
    centre_line, geometry = np.zeros((1, 16, 64)), np.zeros((1, 5, 16, 64))
    geometry[:, [0, 2, 3]] = np.array([0.5, -1.0, 1.0])[None, :, None, None]
    centre_line[0, 7:9, 10:50] = centre_line[0, 1, 0:8] = 1.0
    frame = np.array([[32.0, 8, 1, 0, 64, 16]])
    found = bands(centre_line, geometry, 0.5)
    [ring] = polygons(found, frame, 8)
    assert ring is not None
    assert shapely.polygons(ring).bounds == pytest.approx((8.0, 4.0, 52.0, 12.0), abs=0.6)
    assert found.scores.tolist() == [1.0]


def test_a_band_of_less_than_four_cells_falls_back_to_the_rectangle() -> None:
    found = components(kernel_map(box(120, 80, 100, 16)), SETTINGS)
    rois = as_rois(found, SETTINGS)
    centre_line = np.zeros((1, 16, 64))
    centre_line[0, 8, 30:33] = 1.0
    second = bands(centre_line, np.zeros((1, 5, 16, 64)), 0.5)
    assert polygons(second, rois, 8) == [None]
    [detection] = two_look_detections(found, rois, second, Original(256, 256), SETTINGS)
    [rectangle] = rectangle_detections(found, Original(256, 256), SETTINGS)
    assert detection.polygon.tolist() == rectangle.polygon.tolist()
    assert detection.score == pytest.approx(0.45)


@pytest.mark.parametrize("cells", [4, 5, 9])
def test_bands_shorter_than_the_number_of_points_still_give_a_polygon(cells: int) -> None:
    centre_line, geometry = np.zeros((1, 16, 64)), np.zeros((1, 5, 16, 64))
    geometry[:, [0, 2, 3]] = np.array([0.5, -1.0, 1.0])[None, :, None, None]
    centre_line[0, 8, 30 : 30 + cells] = 1.0
    [ring] = polygons(bands(centre_line, geometry, 0.5), np.array([[32.0, 8, 1, 0, 64, 16]]), 12)
    assert ring is not None
    assert shapely.polygons(ring).is_valid


def test_outputs_without_any_sense_give_detections_and_no_failure() -> None:
    rng = np.random.default_rng(0)
    found = components(kernel_map(box(120, 80, 100, 16), box(120, 160, 80, 40)), SETTINGS)
    rois = as_rois(found, SETTINGS)
    for _ in range(20):
        second = bands(rng.random((2, 16, 64)), rng.normal(size=(2, 5, 16, 64)), 0.5)
        for detection in two_look_detections(found, rois, second, Original(256, 200), SETTINGS):
            shape = shapely.polygons(detection.polygon)
            assert shape.is_valid
            assert shape.area > 1
            assert shapely.box(-1e-9, -1e-9, 256, 200).buffer(1e-6).covers(shape)


def test_looks_at_different_images_are_refused() -> None:
    found = components(kernel_map(box(120, 80, 100, 16)), SETTINGS)
    second = bands(np.zeros((2, 16, 64)), np.zeros((2, 5, 16, 64)), 0.5)
    rois = as_rois(found, SETTINGS)
    with pytest.raises(ValueError, match="1 components need as many RoIs and bands, got 1 and 2"):
        two_look_detections(found, rois, second, Original(256, 256), SETTINGS)


def test_overlapping_and_contained_shapes_go_and_a_chain_loses_its_middle() -> None:
    a, b = shapely.box(0, 0, 10, 10), shapely.box(5, 0, 15, 10)
    c, inner = shapely.box(10.5, 0, 20, 10), shapely.box(1, 1, 2, 2)
    shapes = np.array([inner, c, b, a], dtype=object)
    kept = suppressed(shapes, np.array([0.5, 0.7, 0.8, 0.9]), iou=0.25, containment=0.8)
    assert kept.tolist() == [3, 1]
    loose = suppressed(shapes, np.array([0.5, 0.7, 0.8, 0.9]), iou=1.0, containment=1.0)
    assert loose.tolist() == [3, 2, 1, 0]


def test_detections_are_in_pixels_of_the_original_and_inside_it() -> None:
    found = components(kernel_map(box(230, 80, 100, 16)), SETTINGS)
    [detection] = rectangle_detections(found, Original(500, 512, 0.5), SETTINGS)
    left, top, right, bottom = shapely.polygons(detection.polygon).bounds
    assert right == 500.0
    assert (top + bottom) / 2 == pytest.approx(160.0, abs=3.0)
    assert left == pytest.approx(350, abs=20)


def test_contours_follow_a_curved_kernel_where_rectangles_cannot() -> None:
    text = arc((128, 140), 80, 30)
    kernel = kernel_map(arc((128, 140), 80, 14, (208, 332)))
    found = components(kernel, SETTINGS)
    settings = replace(SETTINGS, unclip=1.25)  # moves it by 8, what was left out of the text
    [contour] = contour_detections(found, kernel, Original(256, 256), settings)
    [rectangle] = rectangle_detections(found, Original(256, 256), settings)
    assert ious([text], [contour.polygon])[0] > 0.85
    assert ious([text], [rectangle.polygon])[0] < 0.5


def test_labels_taken_for_outputs_are_found_again() -> None:
    regions = [
        TextRegion(arc((128, 150), 80, 30)),
        TextRegion(box(128, 200, 120, 24, 10)[::-1]),
        TextRegion(box(30, 30, 40, 20), ignored=True),
    ]
    found = detections_from_labels(regions, 256, 256)
    assert len(found) == 2
    best = [max(ious([region.polygon] * 2, [d.polygon for d in found])) for region in regions[:2]]
    assert min(best) > 0.9


def test_labels_through_the_whole_decoding_find_every_curved_word_of_the_sample() -> None:
    for (width, height), regions in curved_images().values():
        wanted = [region.polygon for region in regions if not region.ignored]
        found = [one.polygon for one in detections_from_labels(regions, width, height)]
        assert len(found) == len(wanted)
        pairs = ious([a for a in wanted for _ in found], found * len(wanted))
        matched = pairs.reshape(len(wanted), len(found)) > 0.5
        # One to one: F@0.5 = 1.
        assert matched.sum(axis=0).tolist() == matched.sum(axis=1).tolist() == [1] * len(wanted)
