"""Mapping of layers to the sub-accelerators of a heterogeneous chip, and the times at which they
run.

A network is a chain of layers; several share one chip. A sub-accelerator runs one layer at a time
without pre-emption. The least energy within a latency limit is wanted, which is NP-hard.
`map_layers` starts from the least energy and gives up as little of it as it can for each cycle
gained, in the manner of Shao et al. (TPDS 2005) and of NASAIC, arXiv:2002.04116; `map_exactly`
tries everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives.asic.scheduling import enumerated, heuristic

MOST_TRIALS = 1 << 20


@dataclass(frozen=True, eq=False)
class Mapping:
    """n chips, each with the same layers.

    Attributes:
        assignment: (n, layers) sub-accelerator of each layer; -1 where a layer fits on none.
        start: (n, layers) cycle in which each layer begins; NaN there.
        makespan: (n,) cycles until the last layer ends; inf there.
        energy: (n,) sum over the layers; inf there.
        feasible: (n,) whether the makespan is within the limit.
    """

    assignment: NDArray[np.int64]
    start: NDArray[np.float64]
    makespan: NDArray[np.float64]
    energy: NDArray[np.float64]
    feasible: NDArray[np.bool_]


def map_layers(
    latency: ArrayLike, energy: ArrayLike, tasks: Sequence[int], *, limit: ArrayLike = np.inf
) -> Mapping:
    """Assignments and schedules by the ratio heuristic; where the energy-optimal assignment meets
    the limit, that one.

    Args:
        latency: (n, sub-accelerators, layers) cycles, inf where the layer does not fit.
        energy: (n, sub-accelerators, layers) energy, inf likewise.
        tasks: Number of layers of each network, in order; their sum is the number of layers.
        limit: Cycles, one for all chips or (n,).

    Raises:
        ValueError: Shapes do not fit, or a number is negative or NaN.
    """
    return _run(heuristic, *_checked(latency, energy, tasks, limit))


def map_exactly(
    latency: ArrayLike, energy: ArrayLike, tasks: Sequence[int], *, limit: ArrayLike = np.inf
) -> Mapping:
    """Tries all assignments under the same list scheduler; returns that of the least energy within
    the limit, or of the least makespan where none keeps it.

    Raises:
        ValueError: `map_layers` would raise it, or there are more than 2^20 assignments.
    """
    checked = _checked(latency, energy, tasks, limit)
    units, layers = checked[0].shape[1:]
    if units**layers > MOST_TRIALS:
        raise ValueError(
            f"{units} sub-accelerators and {layers} layers have {units**layers} assignments, above "
            f"the limit of {MOST_TRIALS}: use map_layers"
        )
    return _run(enumerated, *checked)


_Arrays = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def _run(
    kernel: Callable[..., None],
    latency: NDArray[np.float64],
    energy: NDArray[np.float64],
    first: NDArray[np.int64],
    limit: NDArray[np.float64],
) -> Mapping:
    chips, _, layers = latency.shape
    assignment, start = np.zeros((chips, layers), dtype=np.int64), np.zeros((chips, layers))
    makespan, total = np.zeros(chips), np.zeros(chips)
    kernel(latency, energy, first, limit, assignment, start, makespan, total)
    return Mapping(assignment, start, makespan, total, np.isfinite(makespan) & (makespan <= limit))


def _checked(
    latency: ArrayLike, energy: ArrayLike, tasks: Sequence[int], limit: ArrayLike
) -> _Arrays:
    cycles, costs = (
        np.ascontiguousarray(latency, dtype=np.float64),
        np.ascontiguousarray(energy, dtype=np.float64),
    )
    if cycles.ndim != 3 or cycles.shape != costs.shape or 0 in cycles.shape[1:]:
        raise ValueError(
            "latency and energy must be (chips, sub-accelerators, layers), got shapes "
            f"{cycles.shape} and {costs.shape}"
        )
    if not len(tasks) or min(tasks) < 1 or sum(tasks) != cycles.shape[2]:
        raise ValueError(
            f"tasks must be numbers of layers of at least 1 that add up to {cycles.shape[2]}, got "
            f"{list(tasks)}"
        )
    if not ((cycles >= 0).all() and (costs >= 0).all()):  # also refuses NaN
        raise ValueError(
            "latency and energy must not be negative or NaN; where a layer does not fit, both are "
            "inf"
        )
    if (np.isfinite(cycles) != np.isfinite(costs)).any():
        raise ValueError(
            "latency and energy must be infinite together: a layer fits on a sub-accelerator or "
            "does not"
        )
    limits = np.broadcast_to(np.asarray(limit, dtype=np.float64), cycles.shape[:1]).copy()
    if np.isnan(limits).any():
        raise ValueError("the latency limit must not be NaN; inf is no limit")
    return cycles, costs, np.concatenate([[0], np.cumsum(tasks)]).astype(np.int64), limits
