"""IoU above a threshold of one's own, one region with one detection, "don't care" as ICDAR 2015 has
it. Below 0.5 the greatest possible number of matches is taken, for the order of files would decide.
"""

from __future__ import annotations

import numpy as np

from objectives.detection.matching import one_to_one
from objectives.detection.overlaps import Overlaps
from objectives.detection.protocols import Protocol
from objectives.detection.scores import Tally, tally


def build(threshold: float = 0.5) -> Protocol:
    """The protocol at one threshold.

    Raises:
        ValueError: The threshold is not in [0, 1).
    """
    if not 0.0 <= threshold < 1.0:
        raise ValueError(f"a threshold of IoU must be at least 0 and below 1, got {threshold}")

    def protocol(overlaps: Overlaps) -> Tally:
        matches = one_to_one(overlaps, threshold)
        credit = np.ones(len(matches))
        return tally(overlaps, [(matches, credit, credit)], {"matches": len(matches)})

    return protocol
