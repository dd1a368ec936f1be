"""Matching of detections and regions: each is counted at most once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from objectives.detection.overlaps import Overlaps
from objectives.parts.text.intersections import Places

_UNIQUE_FROM = 0.5  # IoU from which on file order and optimal matching agree in practice


def one_to_one(overlaps: Overlaps, threshold: float) -> Places:
    """Pairs that match: neither is "don't care", IoU is above `threshold`.

    From 0.5 on first come, first served, in file order: region by region, detection by detection,
    as ICDAR 2015's rules say. Below, where that order would decide the score, the greatest possible
    number of matches.

    Returns:
        (k,) places in the list of pairs, sorted.

    Raises:
        ValueError: The threshold is not in [0, 1).
    """
    if not 0.0 <= threshold < 1.0:
        raise ValueError(f"a threshold of IoU must be at least 0 and below 1, got {threshold}")
    pairs = candidates(overlaps, threshold)
    if threshold < _UNIQUE_FROM:
        return _greatest(overlaps, pairs)
    regions: set[int] = set()
    detections: set[int] = set()
    matches = []
    for pair, i, j in zip(
        pairs.tolist(), overlaps.i[pairs].tolist(), overlaps.j[pairs].tolist(), strict=True
    ):
        if i not in regions and j not in detections:
            regions.add(i)
            detections.add(j)
            matches.append(pair)
    return np.array(matches, dtype=np.int64)


def candidates(overlaps: Overlaps, threshold: float) -> Places:
    """Pairs of which neither is "don't care" and whose IoU is above `threshold`."""
    care = ~overlaps.truth.ignored[overlaps.i] & ~overlaps.found_ignored[overlaps.j]
    return np.flatnonzero(care & (overlaps.iou > threshold))


def _greatest(overlaps: Overlaps, pairs: Places) -> Places:
    i, j = overlaps.i[pairs], overlaps.j[pairs]
    shape = (len(overlaps.truth.ignored), len(overlaps.found))
    if not len(pairs):
        return pairs
    graph = csr_array((np.ones(len(pairs), dtype=np.int8), (i, j)), shape=shape)
    partner = maximum_bipartite_matching(graph, perm_type="column")
    return np.asarray(pairs[partner[i] == j], dtype=np.int64)


def best_regions(i: Places, j: Places, value: NDArray[np.float64]) -> Places:
    """The pair of greatest `value` of each detection, the first region where several have it.

    Args:
        i: (q,) region of each pair.
        j: (q,) detection of each pair.
        value: (q,) of each pair.

    Returns:
        (k,) places of pairs, in the order of the detections.
    """
    order = np.lexsort((i, -value, j))
    first = np.diff(j[order], prepend=-1) > 0
    return np.asarray(order[first], dtype=np.int64)


def first_of_each(i: Places, pairs: Places) -> Places:
    """The first one of `pairs`, in the order of detections, of each region."""
    _, first = np.unique(i[pairs], return_index=True)
    return np.asarray(pairs[first], dtype=np.int64)
