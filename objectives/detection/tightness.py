"""How tightly a matched detection lies on its region.

Liu et al., "Tightness-aware evaluation protocol for scene text detection" (TIoU): the IoU of a
match is reduced by what the detection cuts off its region, and by what it takes in of others.
"""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from objectives.detection.overlaps import Overlaps

_NOTHING = 0.01  # a share up to this costs nothing


def tightness(
    overlaps: Overlaps, matches: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(k,) credit of each match as a region and as a detection.

    Args:
        overlaps: Of the set.
        matches: (k,) places in the list of pairs.
    """
    iou = overlaps.iou[matches]
    cut_off = 1.0 - np.minimum(overlaps.truth_covered[matches], 1.0)
    outlying = _outlying(overlaps, matches)
    return iou * _kept(cut_off), iou * _kept(outlying)


def _kept(lost: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(lost <= _NOTHING, 1.0, 1.0 - lost)


def _outlying(overlaps: Overlaps, matches: NDArray[np.int64]) -> NDArray[np.float64]:
    """(k,) share of the detection that other regions cover, "don't care" ones too, without what
    lies in its own region as well.
    """
    order = np.argsort(overlaps.j, kind="stable")
    sorted_j = overlaps.j[order]
    lost = np.zeros(len(matches))
    j = overlaps.j[matches]
    first, last = (np.searchsorted(sorted_j, j, side=side) for side in ("left", "right"))
    crowded = np.flatnonzero(last - first > 1)
    if not len(crowded):
        return lost
    regions = overlaps.truth.polygons.shapes()
    detections = overlaps.found.shapes()
    for place in crowded.tolist():
        pair = matches[place]
        pairs = order[first[place] : last[place]]
        others = shapely.union_all(regions[overlaps.i[pairs[pairs != pair]]])
        beside = shapely.difference(detections[overlaps.j[pair]], regions[overlaps.i[pair]])
        lost[place] = shapely.area(shapely.intersection(beside, others))
    areas = overlaps.found.areas[j]
    return np.clip(np.divide(lost, areas, out=np.zeros_like(lost), where=areas > 0), 0.0, 1.0)
