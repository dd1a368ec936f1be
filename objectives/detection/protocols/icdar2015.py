"""ICDAR 2015, incidental scene text: IoU above 0.5, one region with one detection, in file order.

Karatzas et al. 2015, "ICDAR 2015 competition on robust reading", task 4.1. A detection that lies by
more than half in a "don't care" region counts as neither right nor wrong. Most papers since 2019
report this on Total-Text too.
"""

from __future__ import annotations

from objectives.detection.protocols import Protocol
from objectives.detection.protocols.f import build as at_threshold


def build() -> Protocol:
    """The protocol."""
    return at_threshold(0.5)
