"""Many polygons in one flat array, repaired by one rule that every user of polygons shares: doubled
points go, rings without an area are refused, rings that cross themselves are filled by a rule of
their own.

Areas are the shoelace area of the ring as it was drawn, also where it crosses itself; what such a
ring covers, where two polygons are cut, is what `shapes` says. Together these give exactly the
figures of the official scripts of Total-Text and CTW1500 (the evaluation sheet, section 2, row 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from objectives.parts.text.regions import Polygon

MIN_AREA = 1.0  # pixels squared; a ring of this area or less is refused
MAX_COORDINATE = 1e9  # pixels; beyond it a double no longer tells hundredths of an area apart
# even_odd: a point is inside if a ray from it meets the ring an odd number of times. buffer: what
# shapely's buffer(0) keeps, which loses lobes that turn the other way; Total-Text's scripts use it.
Rule = Literal["even_odd", "buffer"]


@dataclass(frozen=True, eq=False)
class Polygons:
    """Rings of a set, one behind the other. A refused one keeps its place, with no points.

    Attributes:
        points: (v, 2) corners of all rings, none twice in a row.
        starts: (k + 1,) where each ring begins in `points`; the last is v.
        faults: (k,) texts: why a ring was refused, "" where it was not.
    """

    points: NDArray[np.float64]
    starts: NDArray[np.int64]
    faults: tuple[str, ...]

    @classmethod
    def repaired(cls, polygons: Sequence[Polygon]) -> Polygons:
        """Drops points that double their predecessor; refuses rings of fewer than three points, of
        at most `MIN_AREA`, and with coordinates that are no
        numbers in reach.

        Raises:
            ValueError: A polygon is not an (n, 2) array.
        """
        arrays = [np.asarray(polygon, dtype=np.float64) for polygon in polygons]
        for place, array in enumerate(arrays):
            if array.ndim != 2 or array.shape[1] != 2:
                raise ValueError(
                    f"polygon {place} needs the shape (n, 2), x and y of each corner, "
                    f"got {array.shape}"
                )
        sizes = np.array([len(array) for array in arrays], dtype=np.int64)
        points = np.concatenate([*arrays, np.empty((0, 2))])
        within = (np.abs(points) <= MAX_COORDINATE).all(axis=1)
        owner = np.repeat(np.arange(len(arrays)), sizes)
        broken = np.bincount(owner[~within], minlength=len(arrays)) > 0
        previous = _shifted(_starts(sizes), -1)
        single = (points != points[previous]).any(axis=1) & ~broken[owner]
        sizes = np.bincount(owner[single], minlength=len(arrays)).astype(np.int64)
        points, owner = points[single], owner[single]
        with np.errstate(over="ignore", invalid="ignore"):  # of rings that are refused anyway
            areas = np.abs(_signed_areas(points, _starts(sizes)))
        faults = np.where(
            broken,
            f"a coordinate is no number within {MAX_COORDINATE:g} pixels",
            np.where(
                sizes < 3,
                "fewer than three different corners",
                np.where(areas > MIN_AREA, "", "an area of at most 1 pixel"),
            ),
        )
        kept = (faults == "")[owner]
        starts = _starts(np.where(faults == "", sizes, 0))
        return cls(points[kept], starts, tuple(str(fault) for fault in faults))

    def __len__(self) -> int:
        return len(self.faults)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(k,) corners of each ring; 0 of a refused one."""
        return np.diff(self.starts)

    @cached_property
    def areas(self) -> NDArray[np.float64]:
        """(k,) shoelace areas of the rings, in pixels squared; 0 of a refused one."""
        return np.abs(_signed_areas(self.points, self.starts))

    @cached_property
    def boxes(self) -> NDArray[np.float64]:
        """(k, 4) least x and y, greatest x and y; of a refused ring inf and -inf."""
        boxes = np.tile([np.inf, np.inf, -np.inf, -np.inf], (len(self), 1))
        there = self.sizes > 0
        if there.any():
            starts = self.starts[:-1][there]
            boxes[there, :2] = np.minimum.reduceat(self.points, starts)
            boxes[there, 2:] = np.maximum.reduceat(self.points, starts)
        return boxes

    @cached_property
    def following(self) -> NDArray[np.int64]:
        """(v,) the place of each corner's successor in its ring."""
        return _shifted(self.starts, 1)

    @cached_property
    def simple(self) -> NDArray[np.bool_]:
        """(k,) rings that neither cross nor touch themselves; convex ones are known without GEOS.
        A refused ring counts as simple.
        """
        known = self._convex() | (self.sizes == 0)
        unknown = np.flatnonzero(~known)
        known[unknown] = shapely.is_valid(self._raw[unknown])
        return np.asarray(known, dtype=np.bool_)

    @cached_property
    def _raw(self) -> Any:  # Any: an object array of shapely's polygons
        shapes = np.full(len(self), shapely.Polygon(), dtype=object)
        there = np.flatnonzero(self.sizes)
        if len(there):
            rings = np.repeat(np.arange(len(there)), self.sizes[there])
            shapes[there] = shapely.polygons(shapely.linearrings(self.points, indices=rings))
        return shapes

    @cached_property
    def _mended(
        self,
    ) -> dict[Rule, Any]:  # Any: object arrays of geometries, by rule once asked for
        return {}

    def shapes(self, rule: Rule = "even_odd") -> Any:  # Any: an object array of geometries
        """(k,) valid polygons or multipolygons: what each ring covers; empty for a refused one. Not
        to be written to: it is kept, for repair is dear.
        """
        if rule not in self._mended:
            shapes = self._raw.copy()
            for place in np.flatnonzero(~self.simple):
                shape = shapes[place]
                mended = shape.buffer(0) if rule == "buffer" else shapely.make_valid(shape)
                shapes[place] = _surface(mended)
            shapes.flags.writeable = False
            self._mended[rule] = shapes
        return self._mended[rule]

    def areas_by(self, rule: Rule) -> NDArray[np.float64]:
        """(k,) areas of what each ring covers: `areas` but for rings that cross themselves."""
        areas = self.areas.copy()
        areas[~self.simple] = shapely.area(self.shapes(rule)[~self.simple])
        return areas

    def _convex(self) -> NDArray[np.bool_]:
        """(k,) rings that always turn the same way, by one full turn in all."""
        if not len(self.points):
            return np.zeros(len(self), dtype=np.bool_)
        along = self.points[self.following] - self.points
        after = along[self.following]
        turns = along[:, 0] * after[:, 1] - along[:, 1] * after[:, 0]
        ahead = along[:, 0] * after[:, 0] + along[:, 1] * after[:, 1]
        angles = np.arctan2(turns, ahead)
        owner = np.repeat(np.arange(len(self)), self.sizes)
        left = np.bincount(owner[turns > 0], minlength=len(self))
        right = np.bincount(owner[turns < 0], minlength=len(self))
        total = np.abs(np.bincount(owner, weights=angles, minlength=len(self)))
        one_way = (left == self.sizes) | (right == self.sizes)
        return np.asarray(one_way & (total < 3 * np.pi) & (self.sizes > 0))


def _surface(shape: Any) -> Any:  # Any: shapely's geometries
    """The polygons of a geometry; lines and points that repair may leave have no area."""
    if shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    parts = [part for part in shapely.get_parts([shape]) if part.area > 0]
    return shapely.union_all(parts) if parts else shapely.Polygon()


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _shifted(starts: NDArray[np.int64], by: int) -> NDArray[np.int64]:
    """(v,) the place of the corner `by` places on in the same ring."""
    sizes = np.diff(starts)
    begins = np.repeat(starts[:-1], sizes)
    within = np.arange(starts[-1]) - begins
    return np.asarray(begins + (within + by) % np.repeat(sizes, sizes), dtype=np.int64)


def _signed_areas(points: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    # Relative to the ring's first corner, so that a ring far from the origin loses no digits.
    sizes = np.diff(starts)
    local = points - points[np.repeat(starts[:-1], sizes)] if len(points) else points
    after = local[_shifted(starts, 1)]
    cross = local[:, 0] * after[:, 1] - local[:, 1] * after[:, 0]
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return np.asarray(np.bincount(owner, weights=cross, minlength=len(sizes)) / 2.0)
