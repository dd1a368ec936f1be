"""Dominance on plain arrays: ranks, crowding, fronts, hypervolume, knee. Every column is a loss, to
be minimised.

moocore does the counting; it silently ignores NaN, so every function here refuses values that are
not finite.
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

Losses = NDArray[np.float64]  # (n, m)
_COMPILED_FROM = 1500  # points; with fewer, loading the compiled loops takes longer than they save


def ranks(losses: Losses) -> NDArray[np.int64]:
    """Non-domination rank, 0 for the front; equal points share a rank.

    Deb et al. 2002, doi:10.1109/4235.996017, section III-A.

    Args:
        losses: (n, m) finite values to minimise.

    Returns:
        (n,) integers.

    Raises:
        ValueError: A value is NaN or infinite.
    """
    losses = _checked(losses)
    if len(losses) == 0:
        return np.zeros(0, dtype=np.int64)
    if losses.shape[1] == 1:
        return np.unique(losses[:, 0], return_inverse=True)[1].astype(np.int64)
    return np.asarray(moocore.pareto_rank(losses), dtype=np.int64)


def crowding(losses: Losses, rank: NDArray[np.int64]) -> NDArray[np.float64]:
    """Crowding distance of each point within its own rank, (n,); infinite at the ends of a rank.

    Deb et al. 2002, section III-B; each objective is scaled by its range within the rank.
    """
    losses = _checked(losses)
    distance = np.zeros(len(losses))
    for j in range(losses.shape[1]):
        order = np.lexsort((losses[:, j], rank))
        column, level = losses[order, j], rank[order]
        starts = np.flatnonzero(np.r_[True, level[1:] != level[:-1]])
        ends = np.r_[starts[1:], len(level)] - 1
        group = np.repeat(np.arange(len(starts)), ends - starts + 1)
        span = (column[ends] - column[starts])[group]
        gap = np.zeros(len(column))
        gap[1:-1] = column[2:] - column[:-2]
        gap = np.divide(gap, span, out=np.zeros_like(gap), where=span > 0)
        gap[starts] = gap[ends] = np.inf
        distance[order] += gap
    return distance


def order_of_merit(
    losses: Losses, violations: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Constraint domination: (n,) rank and (n,) crowding, smaller rank and larger crowding are
    better.

    Feasible points are ranked among themselves; after them the infeasible ones by their violation
    alone (Deb et al. 2002, section VI).
    """
    feasible = violations <= 0
    rank = np.zeros(len(losses), dtype=np.int64)
    crowd = np.zeros(len(losses))
    if feasible.any():
        rank[feasible] = ranks(losses[feasible])
        crowd[feasible] = crowding(losses[feasible], rank[feasible])
    if not feasible.all():
        worst = int(rank[feasible].max()) + 1 if feasible.any() else 0
        rank[~feasible] = worst + np.unique(violations[~feasible], return_inverse=True)[1]
    return rank, crowd


def survivors(losses: Losses, violations: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices of the best `count` points by `order_of_merit`; ties keep their input order. Best
    first.
    """
    feasible = np.flatnonzero(violations <= 0)
    kept = feasible[_best(losses[feasible], count)]
    if len(kept) == count or len(feasible) == len(losses):
        return kept
    infeasible = np.flatnonzero(~(violations <= 0))
    order = np.argsort(violations[infeasible], kind="stable")
    return np.concatenate([kept, infeasible[order[: count - len(kept)]]])


def _best(losses: Losses, count: int) -> NDArray[np.int64]:
    """Ranks first, then the crowding of those ranks alone that are needed."""
    losses = _checked(losses)
    if len(losses) == 0:
        return np.zeros(0, dtype=np.int64)
    if len(losses) >= _COMPILED_FROM and losses.shape[1] in (2, 3):
        from evoray.pareto import compiled

        return compiled.best(losses, count)
    rank = ranks(losses)
    last = np.partition(rank, count - 1)[count - 1] if 0 < count < len(rank) else len(rank)
    needed = np.flatnonzero(rank <= last)
    order = np.lexsort((-crowding(losses[needed], rank[needed]), rank[needed]))
    return np.asarray(needed[order[:count]])


def front(losses: Losses, violations: NDArray[np.float64] | None = None) -> NDArray[np.int64]:
    """Indices, in input order, of the feasible points that no feasible point dominates; equal
    points all stay.
    """
    losses = _checked(losses)
    candidates = np.arange(len(losses)) if violations is None else np.flatnonzero(violations <= 0)
    if len(candidates) == 0:
        return candidates
    keep = moocore.is_nondominated(losses[candidates], keep_weakly=True)
    return np.asarray(candidates[keep], dtype=np.int64)


def hypervolume(losses: Losses, reference: NDArray[np.float64]) -> float:
    """Volume dominated by `losses` (n, m) up to `reference` (m,), in the product of the objectives'
    units; 0 for no points.
    """
    losses = _checked(losses)
    return float(moocore.hypervolume(losses, ref=reference)) if len(losses) else 0.0


def reference_point(losses: Losses, margin: float = 0.1) -> NDArray[np.float64]:
    """(m,): the worst value of each objective, `margin` of its range beyond it (an absolute
    `margin` where the range is 0).
    """
    losses = _checked(losses)
    worst, span = losses.max(axis=0), np.ptp(losses, axis=0)
    return np.asarray(worst + margin * np.where(span > 0, span, 1.0), dtype=np.float64)


def knee(losses: Losses) -> int:
    """Index of the front's knee: farthest on the good side of the plane through the extremes, on
    losses scaled to [0, 1].

    Das 1999, doi:10.1007/s001580050111; with the extremes at the unit vectors the distance is (1 -
    sum of scaled losses) / sqrt(m).

    Raises:
        ValueError: There is no point.
    """
    losses = _checked(losses)
    if len(losses) == 0:
        raise ValueError("knee needs at least one point, got none")
    low, span = losses.min(axis=0), np.ptp(losses, axis=0)
    scaled = (losses - low) / np.where(span > 0, span, 1.0)
    return int(np.argmin(scaled.sum(axis=1)))


def _checked(losses: Losses) -> Losses:
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2:
        raise ValueError(f"losses must be (n, m), got shape {losses.shape}")
    if not np.isfinite(losses).all():
        raise ValueError(
            f"losses must be finite, got {int((~np.isfinite(losses)).sum())} values that are not; "
            "leave failed candidates out"
        )
    return losses
