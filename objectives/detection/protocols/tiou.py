"""TIoU: ICDAR 2015's matches, each credited by how tightly it lies.

Liu et al. 2019, "Tightness-aware evaluation protocol for scene text detection".
"""

from __future__ import annotations

from objectives.detection.matching import one_to_one
from objectives.detection.overlaps import Overlaps
from objectives.detection.protocols import Protocol
from objectives.detection.scores import Tally, tally
from objectives.detection.tightness import tightness


def build() -> Protocol:
    """The protocol."""
    return count


def count(overlaps: Overlaps) -> Tally:
    """Credits of all matches at IoU above 0.5."""
    matches = one_to_one(overlaps, 0.5)
    return tally(overlaps, [(matches, *tightness(overlaps, matches))], {"matches": len(matches)})
