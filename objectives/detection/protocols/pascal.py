"""Total-Text's Pascal protocol: each detection stands for the region that it overlaps most.

Ch'ng and Chan 2017, "Total-Text". IoU of at least 0.5, with a pixel added to the union, which of
rings that cross themselves is that of the parts that are left; a region is found once, a second
detection of it is wrong and has no second choice.
"""

from __future__ import annotations

import numpy as np

from objectives.detection.matching import best_regions, first_of_each
from objectives.detection.overlaps import Overlaps
from objectives.detection.protocols import Protocol
from objectives.detection.scores import Tally, tally
from objectives.detection.total_text import Filtered


def build() -> Protocol:
    """The protocol."""
    return count


def count(overlaps: Overlaps) -> Tally:
    """Detections in file order, each with its best region."""
    those = Filtered.of(overlaps)
    i, j = overlaps.i[those.pairs], overlaps.j[those.pairs]
    areas = overlaps.truth.polygons.areas_by("buffer")[i] + overlaps.found.areas_by("buffer")[j]
    iou = those.shared / (areas - those.shared + 1.0)
    best = best_regions(i, j, iou)
    matches = those.pairs[first_of_each(i, best[iou[best] >= 0.5])]
    credit = np.ones(len(matches))
    kinds = {"matches": len(matches)}
    return tally(overlaps, [(matches, credit, credit)], kinds, those.found_ignored)
