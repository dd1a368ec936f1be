"""Real outlines to attributes and back, on every instance of two test sets."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from evoray.training.tasks.parts.text_rois import band_maps
from objectives.parts.text.centre_lines import centre_lines, framed_sides, outlines, sampled_sides
from objectives.parts.text.decoding.bands import bands, polygons
from objectives.parts.text.rectangles import corners, min_area_rectangles, padded
from tests.text_scenes import ious, real_outlines

# name: number of instances, of which 7 may be missing in the older ground truth
SETS = {"ctw1500": 3075, "totaltext": 2214}


def analytic(name: str, points: int) -> NDArray[np.float64]:
    rings = real_outlines(name)
    assert len(rings) == SETS[name]
    pairs = [sampled_sides(ring, points, annotated=name == "ctw1500") for ring in rings]
    return ious(rings, list(outlines(centre_lines(np.stack(pairs)))))


def through_maps(name: str, size: tuple[int, int], points: int) -> NDArray[np.float64]:
    rings = real_outlines(name)
    found = []
    for first in range(0, len(rings), 64):
        some = rings[first : first + 64]
        rectangles = min_area_rectangles([shapely.polygons(ring) for ring in some])
        sides = np.stack([framed_sides(*pair) for pair in zip(some, rectangles, strict=True)])
        rois = padded(rectangles, 0.1)
        maps = band_maps(sides, rois, size)
        rebuilt = polygons(bands(maps[:, 0], maps[:, 1:], 0.5), rois, points)
        pairs = zip(rebuilt, corners(rectangles), strict=True)
        found.append(ious(some, [box if ring is None else ring for ring, box in pairs]))
    return np.concatenate(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_seven_points_rebuild_real_outlines(name: str) -> None:
    found = analytic(name, 7)
    assert found.mean() >= 0.99
    assert (found >= 0.5).all()
    assert (found >= 0.9).mean() >= 0.995


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_maps_of_a_roi_give_real_outlines_back(name: str) -> None:
    found = through_maps(name, (32, 128), 8)
    assert found.mean() >= 0.95
    assert found.min() >= 0.70


@pytest.mark.slow
@pytest.mark.parametrize("name", SETS)
def test_the_small_roi_loses_little(name: str) -> None:
    found = through_maps(name, (16, 64), 8)
    assert found.mean() >= 0.93
    assert (found >= 0.8).mean() >= 0.98
