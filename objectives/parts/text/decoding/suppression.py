"""One detection a text: what overlaps a better one, or lies inside it, goes."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray


def suppressed(
    shapes: NDArray[np.object_], scores: NDArray[np.floating], *, iou: float, containment: float
) -> NDArray[np.int64]:
    """Indices of the shapes that remain, best first; of equal scores the earlier one comes first.

    Args:
        shapes: (k,) valid polygons.
        scores: (k,) of each.
        iou: A shape goes where its intersection over union with a better one is above.
        containment: Likewise for the intersection over the smaller of both areas.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    if len(order) < 2:
        return order
    ranked = np.asarray(shapes, dtype=object)[order]
    low, high = shapely.STRtree(ranked).query(ranked, predicate="intersects")
    apart = low < high
    low, high = low[apart], high[apart]
    areas = shapely.area(ranked)
    shared = shapely.area(shapely.intersection(ranked[low], ranked[high]))
    united = areas[low] + areas[high] - shared
    # Products, so that an area of 0 divides nothing.
    clash = shared > iou * united
    clash |= shared > containment * np.minimum(areas[low], areas[high])
    low, high = low[clash], high[clash]
    kept = np.ones(len(order), dtype=np.bool_)
    for better in np.unique(low).tolist():  # ascending: whether it stays is settled by then
        if kept[better]:
            kept[high[low == better]] = False
    return np.asarray(order[kept])
