"""Labels of both looks from polygons, however bad, and the RoIs that training takes."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
import torch
from scipy import ndimage

from evoray.training.tasks.parts.text_labels import batch_labels
from evoray.training.tasks.parts.text_rois import (
    band_maps,
    best_regions,
    jittered,
    roi_labels,
    training_rois,
)
from objectives.parts.text.centre_lines import framed_sides
from objectives.parts.text.rectangles import min_area_rectangles, padded, rectangle_ious
from objectives.parts.text.regions import TextRegion
from tests.text_scenes import arc, box

SIZE = (128, 256)


def test_maps_hold_text_kernels_and_what_counts() -> None:
    word, other = TextRegion(box(64, 64, 80, 32)), TextRegion(box(190, 64, 80, 32), ignored=True)
    low = TextRegion(box(190, 110, 80, 6))
    maps, lines = batch_labels([[word, other, low], []], SIZE)
    assert maps.text.shape == maps.kernel.shape == maps.mask.shape == (2, 32, 64)
    assert maps.text.dtype == torch.float32
    # From 24 to 104 and 48 to 80: every pixel of four that is touched, its borders included.
    assert maps.text.sum() == 21 * 9
    # Moved by 2560 * 0.84 / 224 = 9.6: from 33.6 to 94.4 and 57.6 to 70.4.
    assert maps.kernel.sum() == 16 * 4
    assert (maps.text >= maps.kernel).all()
    assert (1 - maps.mask)[0].sum() == 21 * 9 + 21 * 3
    assert maps.mask[1].all()
    assert lines.images.tolist() == [0]


@pytest.mark.parametrize(
    "polygon",
    [
        np.zeros((0, 2)),
        box(64, 64, 80, 32)[:2],
        np.array([[10.0, 10], [50, 50], [90, 90]]),
        np.array([[10.0, 10], [10, 10], [10, 10], [10, 10]]),
        np.array([[np.nan, 10], [50, 10], [50, 40]]),
    ],
)
def test_nothing_remains_of_regions_without_an_area(polygon: np.ndarray) -> None:
    maps, lines = batch_labels([[TextRegion(polygon), TextRegion(polygon, ignored=True)]], SIZE)
    assert not maps.text.any()
    assert not maps.kernel.any()
    assert maps.mask.all()
    assert lines.sides.shape == (0, 2, 2, 32, 2)
    assert roi_labels(lines, torch.zeros(0, 7), (16, 64)).as_geometry().shape == (0, 6, 16, 64)


def test_either_direction_gives_the_same_labels() -> None:
    one, lines = batch_labels([[TextRegion(arc())]], SIZE)
    other, turned = batch_labels([[TextRegion(arc()[::-1])]], SIZE)
    assert torch.equal(one.text, other.text)
    assert torch.equal(one.kernel, other.kernel)
    maps = band_maps(lines.sides, padded(lines.rectangles, 0.1), (16, 64))
    again = band_maps(turned.sides, padded(turned.rectangles, 0.1), (16, 64))
    assert maps == pytest.approx(again, abs=1e-5)


def test_an_outline_that_crosses_itself_keeps_its_largest_piece() -> None:
    crossed = np.array([[20.0, 20], [120, 60], [120, 20], [20, 70]])
    maps, lines = batch_labels([[TextRegion(crossed)]], SIZE)
    assert maps.text.any()
    assert len(lines.images) == 1
    assert np.isfinite(lines.sides).all()


def test_regions_outside_the_image_paint_nothing() -> None:
    maps, lines = batch_labels([[TextRegion(box(900, 900, 80, 32))]], SIZE)
    assert not maps.text.any()
    rois = torch.from_numpy(training_rois(lines, np.zeros((0, 7)), np.random.default_rng(0)))
    assert torch.isfinite(roi_labels(lines, rois, (16, 64)).as_geometry()).all()


def test_one_region_over_the_whole_image_is_text_everywhere() -> None:
    maps, lines = batch_labels([[TextRegion(box(128, 64, 256, 128))]], SIZE)
    assert maps.text.all()
    assert maps.kernel.any()
    assert lines.rectangles.tolist() == [[128.0, 64.0, 1.0, 0.0, 256.0, 128.0]]


def test_sizes_that_the_stride_does_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="got 130 x 256"):
        batch_labels([[]], (130, 256))


def labels_of(polygon: np.ndarray, size: tuple[int, int] = (16, 64)) -> np.ndarray:
    rectangle = min_area_rectangles([shapely.polygons(polygon)])
    return band_maps(framed_sides(polygon, rectangle[0])[None], padded(rectangle, 0.1), size)[0]


def test_the_band_of_a_straight_word_is_a_strip_with_its_scale_and_directions() -> None:
    band, scale, *angles = labels_of(box(100, 60, 80, 20))
    rows, columns = np.nonzero(band)
    # A stroke of 16 / 1.2 cells, three tenths of it; a quarter of it off each end of 64 / 1.2.
    assert np.unique(rows).tolist() == [6, 7, 8, 9]
    assert columns.min() == pytest.approx(32 - 64 / 2.4 + 16 / 4.8, abs=1)
    assert scale[band > 0] == pytest.approx(1 / 1.2)
    inside = np.stack(angles)[:, band > 0]
    assert inside == pytest.approx(np.tile([[0.0], [-1], [1], [0]], inside.shape[1]), abs=1e-6)
    assert not np.stack([scale, *angles])[:, band == 0].any()


def test_directions_are_those_of_the_frame_and_not_of_the_image() -> None:
    slanted = np.array([[30.0, 40], [110, 40], [100, 60], [20, 60]])  # strokes lean to the right
    rectangle = np.array([[65.0, 50, 1, 0, 80, 80]])
    maps = band_maps(framed_sides(slanted, rectangle[0])[None], rectangle, (16, 64))[0]
    phi = maps[2:4, maps[0] > 0].T
    # 10 to the right and 20 up become 8 and 4 cells.
    assert phi == pytest.approx(np.tile([8 / 80**0.5, -4 / 80**0.5], (len(phi), 1)), abs=1e-5)
    assert np.hypot(*maps[4:6, maps[0] > 0]) == pytest.approx(1.0)


def test_a_frame_turned_by_half_a_turn_has_its_band_flipped_and_the_same_directions() -> None:
    polygon = arc()
    rectangle = padded(min_area_rectangles([shapely.polygons(polygon)]), 0.1)
    sides = framed_sides(polygon, rectangle[0])[None]
    plain = band_maps(sides, rectangle, (16, 64))[0]
    turned = band_maps(sides, rectangle * [1, 1, -1, -1, 1, 1], (16, 64))[0]
    assert (turned[0] == plain[0, ::-1, ::-1]).all()
    # Read to the right in either frame: a text upside down goes the other way through the image.
    both = plain[0] > 0
    assert turned[1, ::-1, ::-1][both] == pytest.approx(plain[1][both])
    assert turned[4:, ::-1, ::-1][:, both] == pytest.approx(plain[4:][:, both])
    assert turned[2:4, ::-1, ::-1][:, both] == pytest.approx(plain[2:4][:, both])


def test_the_band_of_thin_text_does_not_break() -> None:
    rectangle = np.array([[128.0, 64, 1, 0, 250, 120]])
    polygon = arc((128, 160), 120, 5, (215, 325), 20)
    maps = band_maps(framed_sides(polygon, rectangle[0])[None], rectangle, (16, 64))[0]
    assert ndimage.label(maps[0], np.ones((3, 3)))[1] == 1
    assert maps[0].any(axis=0).sum() > 30


def test_a_roi_is_labelled_with_its_own_instance_alone() -> None:
    near = [TextRegion(box(64, 50, 80, 20)), TextRegion(box(64, 74, 80, 20))]
    _, lines = batch_labels([near, [TextRegion(box(64, 50, 80, 20))]], SIZE)
    rows = np.column_stack([[0, 0, 1, 1], lines.rectangles[[0, 1, 2, 2]]])
    rows[3, 1] += 1000.0
    owners, overlaps = best_regions(lines, rows)
    assert owners.tolist() == [0, 1, 2, -1]
    assert overlaps[:3] == pytest.approx(1 / 1.44)
    labels = roi_labels(lines, torch.from_numpy(rows.astype(np.float32)), (16, 64))
    assert torch.equal(labels.band[0], labels.band[2])
    assert not labels.as_geometry()[3, 1:].any()
    rows_with_band = np.flatnonzero(labels.band[0].numpy().any(axis=1))
    assert np.diff(rows_with_band).tolist() == [1] * (len(rows_with_band) - 1)


def test_jitter_stays_in_its_bounds_and_follows_its_generator() -> None:
    _, lines = batch_labels(
        [[TextRegion(box(128, 64, 100, 20, d))] for d in range(0, 180, 3)], SIZE
    )
    rows = jittered(lines, np.random.default_rng(3))
    assert rows.tolist() == jittered(lines, np.random.default_rng(3)).tolist()
    plain = padded(lines.rectangles, 0.1)
    shift = np.hypot(*(rows[:, 1:3] - plain[:, :2]).T)
    assert shift.max() <= np.hypot(12.0, 2.4) + 1e-9
    assert ((rows[:, 5:] / plain[:, 4:] >= 0.9 - 1e-9) & (rows[:, 5:] / plain[:, 4:] <= 1.2)).all()
    turn = np.abs((rows[:, 3:5] * plain[:, 2:4]).sum(axis=1))
    assert turn.min() >= np.cos(np.deg2rad(5.0)) - 1e-9
    assert (rows[:, 3] >= 0).all()
    assert shift.std() > 0


def test_proposals_that_match_are_mixed_in_and_no_more_of_them_than_regions() -> None:
    regions = [[TextRegion(box(64, 64, 80, 20))], [TextRegion(box(64, 64, 80, 20))]]
    _, lines = batch_labels(regions, SIZE)
    good = np.array([[0.0, 66, 64, 1, 0, 96, 24], [1.0, 64, 66, 1, 0, 96, 24]])
    bad = good + np.eye(7)[1] * 100
    rows = training_rois(lines, np.concatenate([bad, good]), np.random.default_rng(0))
    assert rows.dtype == np.float32
    assert rows[2:].tolist() == good.tolist()
    many = training_rois(lines, np.concatenate([bad] + [good] * 9), np.random.default_rng(0))
    assert len(many) == 4
    assert all(row in good.tolist() for row in many[2:].tolist())
    assert training_rois(lines, bad, np.random.default_rng(0)).shape == (2, 7)
    overlap = rectangle_ious(rows[:2, 1:].astype(float), padded(lines.rectangles, 0.1))
    assert np.diag(overlap).min() > 0.4


def test_a_limit_of_rois_is_kept_by_drawing_among_all_of_them() -> None:
    _, lines = batch_labels([[TextRegion(box(64, 64, 80, 20))]] * 12, SIZE)
    drawn = [
        training_rois(lines, np.zeros((0, 7)), np.random.default_rng(seed), limit=4)
        for seed in range(20)
    ]
    assert {len(rows) for rows in drawn} == {4}
    assert {image for rows in drawn for image in rows[:, 0].tolist()} == set(range(12))


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 90])
def test_the_kernel_of_thin_text_is_one_component(degrees: float) -> None:
    maps, lines = batch_labels([[TextRegion(box(128, 128, 150, 9, degrees))]], (256, 256))
    assert len(lines.images) == 1
    assert ndimage.label(maps.kernel[0].numpy())[1] == 1
