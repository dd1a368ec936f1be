"""Compiled heart of the inner chip search: what no chip of one or two sub-accelerators can fall
below, for a million of them.

Arrays of s single sub-accelerators and n layers: cycles and energy (s, n), inf where one cannot run
a layer; area, units and bandwidth (s,), the latter two in steps of their grid.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectives.asic.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@compiled
def bounds_within(
    cycles: Floats,
    energy: Floats,
    area: Floats,
    shape: Ints,
    first: Ints,
    limits: Floats,
    budgets: Ints,
    pairs: bool,
    alike: bool,
    chosen: Ints,
    bounds: Floats,
) -> int:
    """Counts the chips whose bounds keep all limits, and writes down as many as there is room for.

    Args:
        shape: (s, 3) dataflow, units and bandwidth of each.
        first: (m + 1,) where each task begins in the layers, and n.
        limits: (3,) of latency, energy and area.
        budgets: (2,) units and bandwidth of a whole chip.
        pairs: Looks at chips of two sub-accelerators too.
        alike: Demands one dataflow of both.
        chosen: (room, 2) gets the two sub-accelerators, -1 for none.
        bounds: (room, 3) gets least latency, energy and area. Area is exact; energy is where the
            latency limit allows it.
    """
    size, tasks = cycles.shape[0], len(first) - 1
    found = 0
    for one in range(size):
        for other in range(one - 1, size if pairs else one):
            alone = other < one
            if not alone:
                if (
                    shape[one, 1] + shape[other, 1] > budgets[0]
                    or shape[one, 2] + shape[other, 2] > budgets[1]
                ):
                    continue
                if alike and shape[one, 0] != shape[other, 0]:
                    continue
            space = area[one] if alone else area[one] + area[other]
            if space > limits[2]:
                continue
            spent, work, longest = 0.0, 0.0, 0.0
            for task in range(tasks):
                chain = 0.0
                for layer in range(first[task], first[task + 1]):
                    if alone:
                        spent += energy[one, layer]
                        chain += cycles[one, layer]
                    else:
                        spent += min(energy[one, layer], energy[other, layer])
                        chain += min(cycles[one, layer], cycles[other, layer])
                work += chain
                longest = max(longest, chain)
                if spent > limits[1]:
                    break
            least = work if alone else max(longest, work / 2.0)
            if not (spent <= limits[1] and least <= limits[0]):
                continue
            if found < len(chosen):
                chosen[found, 0], chosen[found, 1] = one, -1 if alone else other
                bounds[found, 0], bounds[found, 1], bounds[found, 2] = least, spent, space
            found += 1
    return found
