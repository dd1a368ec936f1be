"""Repair of polygons, and the areas that they share."""

from __future__ import annotations

import numpy as np
import pytest

from objectives.parts.text.intersections import areas_shared, overlapping
from objectives.parts.text.polygons import Polygons

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], dtype=float)
BESIDE = SQUARE + np.array([10, 0])
BOW_TIE = np.array([[0, 0], [10, 10], [10, 0], [0, 10]], dtype=float)
PENTAGRAM = np.array([[np.sin(a), -np.cos(a)] for a in np.arange(5) * 4 * np.pi / 5]) * 50


def shared(first: np.ndarray, second: np.ndarray) -> float:
    one, other = Polygons.repaired([first]), Polygons.repaired([second])
    place = np.zeros(1, dtype=np.int64)
    return float(areas_shared(one, other, place, place)[0])


def test_doubled_points_go_also_the_closing_one() -> None:
    doubled = np.repeat(np.concatenate([SQUARE, SQUARE[:1]]), 2, axis=0)
    polygons = Polygons.repaired([doubled, SQUARE])
    assert polygons.sizes.tolist() == [4, 4]
    assert polygons.areas.tolist() == [100.0, 100.0]


@pytest.mark.parametrize(
    ("polygon", "fault"),
    [
        (SQUARE[:2], "fewer than three"),
        (np.empty((0, 2)), "fewer than three"),
        (np.repeat(SQUARE[:2], 3, axis=0), "fewer than three"),
        (np.array([[0, 0], [5, 5], [10, 10]]), "an area of at most 1 pixel"),
        (SQUARE / 10, "an area of at most 1 pixel"),
        (BOW_TIE, "an area of at most 1 pixel"),
        (np.where(SQUARE == 10, np.nan, SQUARE), "no number within"),
        (np.where(SQUARE == 10, np.inf, SQUARE), "no number within"),
        (np.where(SQUARE == 10, 1e200, SQUARE), "no number within"),
    ],
)
def test_a_ring_without_an_area_is_refused_and_keeps_its_place(
    polygon: np.ndarray, fault: str
) -> None:
    polygons = Polygons.repaired([SQUARE, polygon, SQUARE + 3])
    assert [bool(text) for text in polygons.faults] == [False, True, False]
    assert fault in polygons.faults[1]
    assert polygons.areas.tolist() == [100.0, 0.0, 100.0]
    assert polygons.shapes()[1].is_empty
    assert polygons.boxes[2].tolist() == [3.0, 3.0, 13.0, 13.0]


def test_a_polygon_of_another_form_is_named() -> None:
    with pytest.raises(ValueError, match=r"polygon 1 needs the shape \(n, 2\).* got \(8,\)"):
        Polygons.repaired([SQUARE, SQUARE.ravel()])


def test_no_polygons_are_a_set_too() -> None:
    nothing = Polygons.repaired([])
    none = np.empty(0, dtype=np.int64)
    assert len(nothing) == 0
    assert not len(overlapping(nothing, Polygons.repaired([SQUARE]), (none, none))[0])


def test_a_crossing_ring_has_its_own_area_and_is_cut_by_the_even_odd_rule() -> None:
    polygons = Polygons.repaired([PENTAGRAM, SQUARE])
    assert polygons.simple.tolist() == [False, True]
    # The shoelace area counts the pentagon in the middle twice, the even-odd rule not at all: they
    # differ by two of it, whose corners lie at the star's radius over the golden ratio squared.
    golden = (1 + 5**0.5) / 2
    pentagon = 5 / 2 * (50 / golden**2) ** 2 * np.sin(2 * np.pi / 5)
    assert polygons.areas[0] - polygons.shapes()[0].area == pytest.approx(2 * pentagon)
    heart = np.array([[-2, -2], [2, -2], [2, 2], [-2, 2]], dtype=float)
    assert shared(PENTAGRAM, heart) == 0.0
    assert polygons.areas_by("even_odd")[1] == 100.0


def test_convexity_is_told_apart_from_a_ring_that_turns_twice() -> None:
    twice = np.array([[np.cos(a), np.sin(a)] for a in np.arange(7) * 4 * np.pi / 7]) * 50
    assert Polygons.repaired([twice, twice[::-1]]).simple.tolist() == [False, False]


def test_shared_areas_are_exact_where_coordinates_are_whole() -> None:
    notched = np.array([[0, 0], [10, 0], [10, 10], [5, 5], [0, 10]], dtype=float)
    assert shared(SQUARE, SQUARE) == 100.0
    assert shared(SQUARE, SQUARE[::-1] + 5) == 25.0
    assert shared(SQUARE, notched) == 75.0
    assert shared(notched, notched[::-1]) == 75.0
    assert shared(SQUARE, BESIDE) == 0.0
    diamond = np.array([[5, -5], [15, 5], [5, 15], [-5, 5]], dtype=float)
    assert shared(SQUARE, diamond) == 100.0


def test_images_do_not_meet() -> None:
    polygons = Polygons.repaired([SQUARE, SQUARE, SQUARE + 1000])
    image = np.array([0, 1, 1])
    i, j = overlapping(polygons, polygons, (image, image))
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 2)]


def test_boxes_that_touch_are_no_pair() -> None:
    polygons = Polygons.repaired([SQUARE, BESIDE])
    image = np.zeros(2, dtype=np.int64)
    assert len(overlapping(polygons, polygons, (image, image))[0]) == 2
