"""Areas that detections and annotations of a whole set share, computed once for every protocol
that looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from objectives.detection.ground_truth import GroundTruth
from objectives.parts.text.intersections import Places, areas_shared, overlapping
from objectives.parts.text.polygons import Polygons, Rule
from objectives.parts.text.regions import Detection

# Ratios are rounded to so many digits: a threshold that integers meet exactly, such as half of a
# polygon, is then not passed or missed by the last bit of a sum.
_DIGITS = 12
_DONT_CARE = 0.5  # of a detection inside one "don't care" region; strictly more is left out


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of an annotated region and a detection of the same image that share an area.

    Attributes:
        truth: The annotations.
        found: The n repaired polygons of the detections, image after image, in their order.
        found_image: (n,) which of `truth.images` a detection belongs to.
        i: (p,) region of each pair; pairs are sorted by region, then by detection.
        j: (p,) detection of each pair.
        shared: (p,) area in common, in pixels squared, under the even-odd rule.
    """

    truth: GroundTruth
    found: Polygons
    found_image: NDArray[np.int64]
    i: Places
    j: Places
    shared: NDArray[np.float64]

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """(p,) intersection over union."""
        return _ratio(self.shared, self._sum_of_areas - self.shared)

    @cached_property
    def truth_covered(self) -> NDArray[np.float64]:
        """(p,) share of the region that the detection covers."""
        return _ratio(self.shared, self.truth.polygons.areas[self.i])

    @cached_property
    def found_covered(self) -> NDArray[np.float64]:
        """(p,) share of the detection that the region covers."""
        return _ratio(self.shared, self.found.areas[self.j])

    @cached_property
    def found_ignored(self) -> NDArray[np.bool_]:
        """(n,) detections of which more than half lies in one "don't care" region."""
        return self.ignoring(self.found_covered > _DONT_CARE)

    def ignoring(self, inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(n,) detections with a pair that is `inside` (p,) a "don't care" region."""
        ignored = np.zeros(len(self.found), dtype=np.bool_)
        ignored[self.j[inside & self.truth.ignored[self.i]]] = True
        return ignored

    def shared_by(self, rule: Rule) -> NDArray[np.float64]:
        """(p,) area in common under another rule for rings that cross themselves."""
        shared = self.shared.copy()
        simple = self.truth.polygons.simple[self.i] & self.found.simple[self.j]
        pairs = np.flatnonzero(~simple)
        shared[pairs] = areas_shared(
            self.truth.polygons, self.found, self.i[pairs], self.j[pairs], rule
        )
        return shared

    @property
    def _sum_of_areas(self) -> NDArray[np.float64]:
        return np.asarray(self.truth.polygons.areas[self.i] + self.found.areas[self.j])


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    # A ring that crosses itself can cover more than its shoelace area: nothing shares more than all
    # of it, and a union that is not there is no match.
    there = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return np.asarray(np.round(np.minimum(there, 1.0), _DIGITS), dtype=np.float64)


def overlaps(truth: GroundTruth, found: Mapping[str, Sequence[Detection]]) -> Overlaps:
    """All overlaps of the detections of a set with its annotations.

    Args:
        truth: The annotations.
        found: Detections by the name of the image, in file order; an image that is not there has
            none.

    Raises:
        ValueError: Detections are of an image without annotations.
    """
    unknown = sorted(set(found) - set(truth.images))
    if unknown:
        raise ValueError(
            f"{len(unknown)} images have detections and no annotations: {', '.join(unknown[:3])}; "
            f"annotations are of {len(truth.images)} images such as {truth.images[0]}"
        )
    lists = [found.get(name, ()) for name in truth.images]
    polygons = Polygons.repaired([one.polygon for several in lists for one in several])
    image = np.repeat(np.arange(len(lists)), [len(several) for several in lists])
    i, j = overlapping(truth.polygons, polygons, (truth.image, image))
    return Overlaps(truth, polygons, image, i, j, areas_shared(truth.polygons, polygons, i, j))
