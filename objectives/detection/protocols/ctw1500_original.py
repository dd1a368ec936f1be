"""SCUT-CTW1500 as it was published: each detection stands for the line that it overlaps most.

Liu et al. 2017, "Detecting curve text in the wild", in the style of PASCAL VOC: IoU above 0.5,
duplicates are wrong. It knows no "don't care" regions, and detections that cross themselves are
passed over, neither right nor wrong: such output is free of charge here.
"""

from __future__ import annotations

import numpy as np

from objectives.detection.matching import best_regions, first_of_each
from objectives.detection.overlaps import Overlaps
from objectives.detection.protocols import Protocol
from objectives.detection.scores import Tally, tally


def build() -> Protocol:
    """The protocol."""
    return count


def count(overlaps: Overlaps) -> Tally:
    """Detections in file order, each with its best line.

    Raises:
        ValueError: Some regions are "don't care".
    """
    ignored = int(overlaps.truth.ignored.sum())
    if ignored:
        raise ValueError(
            f"protocol ctw1500_original knows no don't-care regions, the ground truth has "
            f"{ignored}: score with ctw1500, or with annotations without them"
        )
    passed_over = ~overlaps.found.simple | (overlaps.found.sizes == 0)
    pairs = np.flatnonzero(~passed_over[overlaps.j])
    i, j, iou = overlaps.i[pairs], overlaps.j[pairs], overlaps.iou[pairs]
    best = best_regions(i, j, iou)
    matches = pairs[first_of_each(i, best[iou[best] > 0.5])]
    credit = np.ones(len(matches))
    kinds = {"matches": len(matches)}
    return tally(overlaps, [(matches, credit, credit)], kinds, passed_over)
