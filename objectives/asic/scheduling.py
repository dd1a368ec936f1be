"""Compiled heart of the mapper: one list schedule, the ratio heuristic on one chip, and the
enumeration that checks it.

Arrays of one chip: latency and energy (k, n) of layer i on sub-accelerator j, inf where j cannot
run i; first (m + 1,) where the chain of each task begins in the n layers, and n. An assignment is
(n,) sub-accelerator indices.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from objectives.asic.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_NOTHING = 1e-12  # of the energy sum: what counts as an energy-free move


@compiled
def list_schedule(latency: Floats, first: Ints, assignment: Ints, start: Floats) -> float:
    """Fills the start of every layer, returns the makespan.

    A sub-accelerator that is free takes, of the layers that are ready for it, the one with the
    longest remaining chain (ties: the earlier task). It never waits for a layer that is not ready
    yet. A layer without cycles is one that a padded table lacks: it takes no sub-accelerator and
    waits for none.
    """
    num_tasks, units = len(first) - 1, latency.shape[0]
    free, ready, remaining = np.zeros(units), np.zeros(num_tasks), np.zeros(num_tasks)
    at = first[:num_tasks].copy()
    for task in range(num_tasks):
        for layer in range(first[task], first[task + 1]):
            remaining[task] += latency[assignment[layer], layer]
    makespan = 0.0
    for _ in range(first[num_tasks]):
        chosen, earliest = -1, np.inf
        for task in range(num_tasks):
            if at[task] == first[task + 1]:
                continue
            unit = assignment[at[task]]
            begins = max(ready[task], free[unit]) if latency[unit, at[task]] > 0.0 else ready[task]
            if begins < earliest or (
                begins == earliest and (chosen < 0 or remaining[task] > remaining[chosen])
            ):
                chosen, earliest = task, begins
        layer = at[chosen]
        unit = assignment[layer]
        start[layer] = earliest
        ends = earliest + latency[unit, layer]
        if latency[unit, layer] > 0.0:
            free[unit] = ends
        ready[chosen] = ends
        remaining[chosen] -= latency[unit, layer]
        at[chosen] += 1
        makespan = max(makespan, ends)
    return makespan


@compiled
def _bounds(latency: Floats, first: Ints, assignment: Ints, load: Floats, chain: Floats) -> None:
    load[:] = 0.0
    chain[:] = 0.0
    for task in range(len(first) - 1):
        for layer in range(first[task], first[task + 1]):
            cost = latency[assignment[layer], layer]
            load[assignment[layer]] += cost
            chain[task] += cost


@compiled
def _moved_bound(
    load: Floats, chain: Floats, task: int, unit: int, other: int, before: float, after: float
) -> float:
    """No schedule after the move of one layer can end before this."""
    least: float = chain[task] - before + after
    for index in range(len(chain)):
        if index != task and chain[index] > least:
            least = chain[index]
    for index in range(len(load)):
        value: float = load[index]
        if index == unit:
            value -= before
        elif index == other:
            value += after
        least = max(least, value)
    return least


@compiled
def _best_reduction(
    latency: Floats,
    energy: Floats,
    first: Ints,
    assignment: Ints,
    makespan: float,
    total: float,
    start: Floats,
    load: Floats,
    chain: Floats,
) -> tuple[int, int]:
    """The move with the greatest cut of makespan for its energy, energy-free ones first; (-1, -1)
    if none cuts.
    """
    units = latency.shape[0]
    _bounds(latency, first, assignment, load, chain)
    best, best_free, chosen, chosen_unit = 0.0, False, -1, -1
    for task in range(len(first) - 1):
        for layer in range(first[task], first[task + 1]):
            unit = assignment[layer]
            before = latency[unit, layer]
            for other in range(units):
                after = latency[other, layer]
                if other == unit or not np.isfinite(after):
                    continue
                paid = energy[other, layer] - energy[unit, layer]
                is_free = paid <= 0.0
                divisor = 1.0 if is_free else max(paid, _NOTHING * total)
                most = (
                    makespan - _moved_bound(load, chain, task, unit, other, before, after)
                ) / divisor
                # The bound cannot be beaten, and ties go to the earlier layer: no need to schedule
                # what cannot win.
                if (
                    most <= 0.0
                    or (is_free == best_free and most <= best)
                    or (best_free and not is_free)
                ):
                    continue
                assignment[layer] = other
                score = (makespan - list_schedule(latency, first, assignment, start)) / divisor
                assignment[layer] = unit
                if score > 0.0 and (
                    (is_free and not best_free) or (is_free == best_free and score > best)
                ):
                    best, best_free, chosen, chosen_unit = score, is_free, layer, other
    return chosen, chosen_unit


@compiled
def _best_saving(
    latency: Floats,
    energy: Floats,
    first: Ints,
    assignment: Ints,
    limit: float,
    start: Floats,
    load: Floats,
    chain: Floats,
) -> tuple[int, int]:
    """The move that saves most energy and keeps the makespan within the limit; (-1, -1) if none
    does.
    """
    _bounds(latency, first, assignment, load, chain)
    best, chosen, chosen_unit = 0.0, -1, -1
    for task in range(len(first) - 1):
        for layer in range(first[task], first[task + 1]):
            unit = assignment[layer]
            for other in range(latency.shape[0]):
                saved = energy[unit, layer] - energy[other, layer]
                if other == unit or not saved > best or not np.isfinite(latency[other, layer]):
                    continue
                if (
                    _moved_bound(
                        load, chain, task, unit, other, latency[unit, layer], latency[other, layer]
                    )
                    > limit
                ):
                    continue
                assignment[layer] = other
                if list_schedule(latency, first, assignment, start) <= limit:
                    best, chosen, chosen_unit = saved, layer, other
                assignment[layer] = unit
    return chosen, chosen_unit


@compiled
def _cheapest(latency: Floats, energy: Floats, assignment: Ints) -> bool:
    """Each layer where it costs least energy (ties: least latency, then first); False if a layer
    fits nowhere.
    """
    for layer in range(latency.shape[1]):
        best = -1
        for unit in range(latency.shape[0]):
            if not np.isfinite(latency[unit, layer]):
                continue
            lower = best < 0 or energy[unit, layer] < energy[best, layer]
            if lower or (
                energy[unit, layer] == energy[best, layer]
                and latency[unit, layer] < latency[best, layer]
            ):
                best = unit
        if best < 0:
            return False
        assignment[layer] = best
    return True


@compiled
def _sum(energy: Floats, assignment: Ints) -> float:
    total = 0.0
    for layer in range(len(assignment)):
        total += energy[assignment[layer], layer]
    return total


@compiled
def heuristic(
    latencies: Floats,
    energies: Floats,
    first: Ints,
    limits: Floats,
    assignments: Ints,
    starts: Floats,
    makespans: Floats,
    totals: Floats,
) -> None:
    """Fills assignment, starts, makespan and energy of every chip (rows of all arrays but
    `first`).
    """
    units, layers = latencies.shape[1], latencies.shape[2]
    load, chain, scratch = np.zeros(units), np.zeros(len(first) - 1), np.zeros(layers)
    for chip in range(len(latencies)):
        latency, energy, assignment, limit = (
            latencies[chip],
            energies[chip],
            assignments[chip],
            limits[chip],
        )
        if not _cheapest(latency, energy, assignment):
            assignment[:] = -1
            starts[chip] = np.nan
            makespans[chip] = np.inf
            totals[chip] = np.inf
            continue
        makespan = list_schedule(latency, first, assignment, scratch)
        if makespan > limit:
            while makespan > limit:
                total = _sum(energy, assignment)
                layer, unit = _best_reduction(
                    latency, energy, first, assignment, makespan, total, scratch, load, chain
                )
                if layer < 0:
                    break
                assignment[layer] = unit
                makespan = list_schedule(latency, first, assignment, scratch)
            while makespan <= limit:
                layer, unit = _best_saving(
                    latency, energy, first, assignment, limit, scratch, load, chain
                )
                if layer < 0:
                    break
                assignment[layer] = unit
        makespans[chip] = list_schedule(latency, first, assignment, starts[chip])
        totals[chip] = _sum(energy, assignment)


@compiled
def enumerated(
    latencies: Floats,
    energies: Floats,
    first: Ints,
    limits: Floats,
    assignments: Ints,
    starts: Floats,
    makespans: Floats,
    totals: Floats,
) -> None:
    """The same by trying every assignment: least energy within the limit, or least makespan where
    none is; ties by the other, then order.
    """
    units, layers = latencies.shape[1], latencies.shape[2]
    trial, scratch = np.zeros(layers, dtype=np.int64), np.zeros(layers)
    for chip in range(len(latencies)):
        latency, energy, limit = latencies[chip], energies[chip], limits[chip]
        best_makespan, best_total, best_meets = np.inf, np.inf, False
        assignments[chip] = -1
        starts[chip] = np.nan
        for number in range(units**layers):
            rest = number
            possible = True
            for layer in range(layers - 1, -1, -1):
                trial[layer] = rest % units
                rest //= units
                possible = possible and np.isfinite(latency[trial[layer], layer])
            if not possible:
                continue
            makespan, total = list_schedule(latency, first, trial, scratch), _sum(energy, trial)
            meets = makespan <= limit
            if meets != best_meets:
                better = meets
            elif meets:
                better = total < best_total or (total == best_total and makespan < best_makespan)
            else:
                better = makespan < best_makespan or (
                    makespan == best_makespan and total < best_total
                )
            if better:
                best_makespan, best_total, best_meets = makespan, total, meets
                assignments[chip] = trial
                starts[chip] = scratch
        makespans[chip] = best_makespan
        totals[chip] = best_total
