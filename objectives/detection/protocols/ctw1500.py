"""SCUT-CTW1500 with "don't care" regions: ICDAR 2015's rules on curved lines.

The later evaluation of the data set (its curved TIoU script): on annotations without "don't care"
regions it gives the original's figures, but for detections that cross themselves, which count here.
"""

from __future__ import annotations

from objectives.detection.protocols import Protocol
from objectives.detection.protocols.f import build as at_threshold


def build() -> Protocol:
    """The protocol."""
    return at_threshold(0.5)
