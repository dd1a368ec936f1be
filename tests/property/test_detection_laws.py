"""Laws of the scores of text detection."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from objectives.detection import prepared, protocols, score
from objectives.detection.matching import one_to_one
from objectives.detection.tightness import tightness
from objectives.parts.text.intersections import areas_shared
from objectives.parts.text.polygons import Polygons
from objectives.parts.text.regions import Detection, ImageRegions, TextRegion

SEEDS = st.integers(0, 2**32 - 1)
WITH_DONT_CARE = [name for name in protocols.names() if name != "ctw1500_original"]


FEW = settings(max_examples=15, deadline=None)  # each scores several sets
MANY = settings(max_examples=40, deadline=None)


def star(rng: np.random.Generator, corners: int, side: float = 60.0) -> np.ndarray:
    """A ring that does not cross itself, convex or not, in either direction."""
    # No gap of half a turn: the middle stays inside.
    angles = (np.arange(corners) + rng.uniform(0, 0.45, corners)) * 2 * np.pi / corners
    radii = rng.uniform(4, 30, corners)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    return (ring if rng.random() < 0.5 else ring[::-1]) + rng.uniform(0, side, 2)


def scene(
    rng: np.random.Generator, ignored: float = 0.0
) -> tuple[list[ImageRegions], dict[str, list[Detection]]]:
    """Three images of regions that do not overlap, some found well, some badly, some not, and some
    false alarms.
    """
    truth, found = [], {}
    for name in "abc":
        cells = rng.permutation(9)[: rng.integers(0, 7)]
        polygons = [star(rng, 6) + 120 * np.array(divmod(cell, 3)) for cell in cells]
        truth.append(
            ImageRegions(name, tuple(TextRegion(p, "", rng.random() < ignored) for p in polygons))
        )
        seen = [p + rng.normal(0, 2, p.shape) for p in polygons if rng.random() < 0.8]
        seen += [star(rng, 5, side=360) for _ in range(rng.integers(0, 3))]
        found[name] = [Detection(p) for p in seen]
    return truth, found


@MANY
@given(seed=SEEDS, n=st.integers(3, 20), m=st.integers(3, 20), whole=st.booleans())
def test_shared_areas_are_those_of_geos(seed: int, n: int, m: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    sets = [[star(rng, size) for _ in range(4)] for size in (n, m)]
    if whole:  # many vertical edges, corners that meet, and some rings that touch themselves
        sets = [[np.round(p) for p in polygons] for polygons in sets]
    first, second = (Polygons.repaired(polygons) for polygons in sets)
    i, j = (grid.ravel() for grid in np.meshgrid(np.arange(4), np.arange(4)))
    expected = shapely.area(shapely.intersection(first.shapes()[i], second.shapes()[j]))
    np.testing.assert_allclose(areas_shared(first, second, i, j), expected, atol=1e-7)


@MANY
@given(seed=SEEDS)
def test_the_direction_and_the_first_corner_of_a_ring_do_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ring, other = star(rng, 9), Polygons.repaired([star(rng, 9)])
    ways = [ring, ring[::-1], np.roll(ring, 3, axis=0)]
    place = np.zeros(1, dtype=np.int64)
    areas = [areas_shared(Polygons.repaired([way]), other, place, place)[0] for way in ways]
    np.testing.assert_allclose(areas, areas[0], atol=1e-8)


@MANY
@given(seed=SEEDS)
def test_simple_rings_are_those_that_geos_calls_valid(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rings = [rng.integers(0, 12, (size, 2)).astype(float) for size in rng.integers(3, 9, 20)]
    polygons = Polygons.repaired(rings)
    for place, fault in enumerate(polygons.faults):
        if not fault:
            ring = shapely.Polygon(polygons.points[slice(*polygons.starts[place : place + 2])])
            assert polygons.simple[place] == ring.is_valid


@pytest.mark.parametrize("protocol", ["icdar2015", "ctw1500", "f_mean", "tiou"])
@FEW
@given(seed=SEEDS)
def test_a_set_scored_against_itself_is_perfect(protocol: str, seed: int) -> None:
    truth, _ = scene(np.random.default_rng(seed))
    found = {image.image: [Detection(one.polygon) for one in image.regions] for image in truth}
    scores = score(truth, found, protocol)
    if scores.counts["truth"]:
        assert (scores.recall, scores.precision, scores.hmean) == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize("protocol", ["icdar2015", "f_mean", "f:0.3"])
@FEW
@given(seed=SEEDS)
def test_no_order_of_files_or_rows_changes_a_score(protocol: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = scene(rng, ignored=0.3)
    before = score(truth, found, protocol)
    mixed = [
        ImageRegions(
            image.image, tuple(image.regions[k] for k in rng.permutation(len(image.regions)))
        )
        for image in (truth[k] for k in rng.permutation(len(truth)))
    ]
    after = score(
        mixed,
        {name: [ones[k] for k in rng.permutation(len(ones))] for name, ones in found.items()},
        protocol,
    )
    assert after.counts == before.counts
    assert after.hmean == pytest.approx(before.hmean)


@pytest.mark.parametrize("protocol", WITH_DONT_CARE)
@FEW
@given(seed=SEEDS)
def test_scores_lie_between_0_and_1_and_dont_care_regions_cost_nothing(
    protocol: str, seed: int
) -> None:
    truth, found = scene(np.random.default_rng(seed), ignored=0.4)
    before = score(truth, found, protocol)
    values = (before.recall, before.precision, before.hmean)
    assert all(0.0 <= value <= 1.0 + 1e-12 for value in values)
    again = {
        image.image: [
            *found[image.image],
            *(Detection(one.polygon) for one in image.regions if one.ignored),
        ]
        for image in truth
    }
    after = score(truth, again, protocol)
    assert (after.recall, after.precision) == (before.recall, before.precision)


@FEW
@given(seed=SEEDS)
def test_what_a_match_loses_to_others_is_what_geos_cuts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    regions = [star(rng, 7, side=25) for _ in range(4)]
    truth = ImageRegions("a", tuple(TextRegion(polygon) for polygon in regions))
    found = {"a": [Detection(polygon + rng.normal(0, 1, polygon.shape)) for polygon in regions]}
    those = prepared([truth], found)
    matches = one_to_one(those, 0.5)
    shapes, seen = those.truth.polygons.shapes(), those.found.shapes()
    kept = []
    for i, j in zip(those.i[matches], those.j[matches], strict=True):
        others = shapely.union_all([shape for place, shape in enumerate(shapes) if place != i])
        lost = (seen[j] - shapes[i]).intersection(others).area / those.found.areas[j]
        kept.append(1.0 if lost <= 0.01 else 1.0 - lost)
    np.testing.assert_allclose(
        tightness(those, matches)[1], those.iou[matches] * np.array(kept), atol=1e-6
    )
