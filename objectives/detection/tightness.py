"""Tightness of a matched detection on its region.

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
        overlaps: The overlaps of the set.
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
    j = overlaps.j[matches]
    areas = overlaps.found.areas[j]
    lost = np.zeros(len(matches))
    # What all others share with it bounds what is lost; so few detections go through GEOS.
    of_all = np.bincount(overlaps.j, weights=overlaps.shared, minlength=len(overlaps.found))
    crowded = np.flatnonzero(of_all[j] - overlaps.shared[matches] > _NOTHING * areas)
    if not len(crowded):
        return lost
    order = np.argsort(overlaps.j, kind="stable")
    first, last = (np.searchsorted(overlaps.j[order], j, side=side) for side in ("left", "right"))
    regions, detections = overlaps.truth.polygons.shapes(), overlaps.found.shapes()
    for place in crowded.tolist():
        pair = matches[place]
        pairs = order[first[place] : last[place]]
        pairs = pairs[(pairs != pair) & (overlaps.shared[pairs] > 0)]
        beside = shapely.difference(detections[overlaps.j[pair]], regions[overlaps.i[pair]])
        others = shapely.union_all(regions[overlaps.i[pairs]])
        lost[place] = shapely.area(shapely.intersection(beside, others))
    return np.minimum(np.divide(lost, areas, out=np.zeros_like(lost), where=areas > 0), 1.0)
