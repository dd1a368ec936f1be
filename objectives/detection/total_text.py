"""The rules that Total-Text's own protocols share, which differ from ICDAR 2015's: rings that cross
themselves lose their smaller lobes where they are cut (buffer(0)), and the area of a detection
counts a pixel more where "don't care" regions take detections out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from objectives.detection.overlaps import Overlaps
from objectives.parts.text.intersections import Places


@dataclass(frozen=True, eq=False)
class Filtered:
    """The pairs of regions and detections that count.

    Attributes:
        pairs: (q,) places in the list of all pairs.
        shared: (q,) areas in common, in pixels squared.
        found_ignored: (n,) detections that "don't care" regions take out.
    """

    pairs: Places
    shared: NDArray[np.float64]
    found_ignored: NDArray[np.bool_]

    @classmethod
    def of(cls, overlaps: Overlaps) -> Filtered:
        """The pairs of a set that count."""
        shared = overlaps.shared_by("buffer")
        inside = shared / (overlaps.found.areas[overlaps.j] + 1.0) > 0.5
        ignored = overlaps.ignoring(inside)
        pairs = np.flatnonzero(~overlaps.truth.ignored[overlaps.i] & ~ignored[overlaps.j])
        return cls(pairs, shared[pairs], ignored)


def images_of(overlaps: Overlaps, pairs: Places) -> Iterator[slice]:
    """The part of `pairs`, sorted as all pairs are, that belongs to each image that has any."""
    image = overlaps.truth.image[overlaps.i[pairs]]
    bounds = np.flatnonzero(np.diff(image)) + 1
    edges = [0, *bounds.tolist(), len(pairs)]
    for begin, end in pairwise(edges):
        if end > begin:
            yield slice(begin, end)
