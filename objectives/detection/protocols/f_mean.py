"""The mean of the F-measures at IoU .5, .55, ... .9: rewards tight polygons, where F at 0.5 alone
is content with rectangles.
"""

from __future__ import annotations

import numpy as np

from objectives.detection.matching import one_to_one
from objectives.detection.overlaps import Overlaps
from objectives.detection.protocols import Protocol
from objectives.detection.scores import Tally, tally

THRESHOLDS = tuple(step / 20 for step in range(10, 19))


def build() -> Protocol:
    """The protocol."""
    return count


def count(overlaps: Overlaps) -> Tally:
    """One pass a threshold."""
    passes = []
    for threshold in THRESHOLDS:
        matches = one_to_one(overlaps, threshold)
        passes.append((matches, np.ones(len(matches)), np.ones(len(matches))))
    kinds = {
        f"matches@{threshold:g}": len(matches)
        for threshold, (matches, _, _) in zip(THRESHOLDS, passes, strict=True)
    }
    return tally(overlaps, passes, kinds)
