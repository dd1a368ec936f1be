"""Choice of the predicted candidates to measure next: those that would enlarge the dominated volume
the most, if things go well.
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

from evoray.pareto import dominance

Floats = NDArray[np.float64]

# How many standard deviations better than predicted things are assumed to go, pick by pick:
# exploit, explore, and between. From
# _SETTLED records on it grows with the logarithm of their number, as GP-UCB's does (Srinivas et al.
# 2010, arXiv:0912.3995): by then
# the front consists of networks that were lucky, and more of them hide behind ordinary predictions.
_OPTIMISM = (0.0, 1.0, 0.5, 2.0)
_SETTLED = 150
_GROWTH = 0.53  # for each factor e of records
_BELIEVED = float(np.log(0.5))
_EXACT = 400  # candidates whose volume is computed exactly, with three targets
_AUGMENTATION = 0.05


def choose(
    known: Floats,
    mean: Floats,
    std: Floats,
    count: int,
    rng: np.random.Generator,
    *,
    pending: Floats | None = None,
    log_weight: Floats | None = None,
) -> NDArray[np.int64]:
    """(<= count,) indices of candidates, each picked as if those before it, and those pending, had
    come out as predicted.

    Args:
        known: (n, m) measured losses, at least one row.
        mean: (p, m) predicted losses.
        std: (p, m) their standard deviations; 0 where a value is known exactly.
        count: Number of candidates to pick.
        rng: Decides among candidates that promise nothing, and the directions with four targets and
            more.
        pending: (q, m) predicted losses of what is being measured.
        log_weight: (p,) what each gain is multiplied with, as a logarithm; None for 1.
    """
    span = np.ptp(known, axis=0)
    reference = known.max(axis=0) + 0.1 * np.where(span > 0, span, 1.0)
    front = (
        known[dominance.front(known)]
        if pending is None
        else _joined(known[dominance.front(known)], pending)
    )
    free = np.ones(len(mean), dtype=bool)
    picks: list[int] = []
    growth = _GROWTH * max(0.0, float(np.log(len(known) / _SETTLED)))
    for number in range(min(count, len(mean))):
        left = np.flatnonzero(free)
        hoped = mean[left] - (_OPTIMISM[number % len(_OPTIMISM)] + growth) * std[left]
        gain = _gain(front, reference, hoped, rng)
        if gain.max() <= 0:  # nothing is promising: learn where most is unknown
            gain = (std[left] / np.where(span > 0, span, 1.0)).sum(axis=1) * rng.random(len(left))
        if log_weight is not None:
            gain = np.where(gain > 0, np.log(np.maximum(gain, 1e-300)) + log_weight[left], -np.inf)
        pick = int(left[np.argmax(gain)])
        picks.append(pick)
        free[pick] = False
        if (
            log_weight is None or log_weight[pick] >= _BELIEVED
        ):  # what will probably be infeasible is no measure for the others
            front = _joined(front, mean[[pick]])
    return np.array(picks, dtype=np.int64)


def _joined(front: Floats, points: Floats) -> Floats:
    both = np.concatenate([front, points])
    return both[dominance.front(both)]


def _gain(front: Floats, reference: Floats, points: Floats, rng: np.random.Generator) -> Floats:
    """(p,): the volume that each point adds to the front; with four targets and more, how far it
    gets in a random direction.
    """
    num_targets = points.shape[1]
    if num_targets == 1:
        return np.asarray(np.maximum(front.min() - points[:, 0], 0.0))
    if num_targets == 2:
        return volume_gain(front, reference, points)
    best = np.flatnonzero(moocore.is_nondominated(points))
    gain = np.zeros(len(points))
    if num_targets == 3:
        best = best if len(best) <= _EXACT else rng.permutation(best)[:_EXACT]
        before = dominance.hypervolume(front, reference)
        gain[best] = [
            dominance.hypervolume(np.vstack([front, points[i]]), reference) - before for i in best
        ]
        return gain
    low = np.minimum(front.min(axis=0), points.min(axis=0))
    direction = rng.dirichlet(np.ones(num_targets))
    scaled, reached = (points[best] - low) / (reference - low), (front - low) / (reference - low)
    distance = (direction * scaled).max(axis=1) + _AUGMENTATION * (direction * scaled).sum(axis=1)
    before = (
        (direction * reached).max(axis=1) + _AUGMENTATION * (direction * reached).sum(axis=1)
    ).min()
    gain[best] = before - distance
    return gain


def volume_gain(front: Floats, reference: Floats, points: Floats) -> Floats:
    """(p,): the area that each of (p, 2) points adds to a front of two targets, exactly and all at
    once.
    """
    inside = front[(front < reference).all(axis=1)]
    steps = inside[np.argsort(inside[:, 0], kind="stable")]
    left = np.concatenate([[-np.inf], steps[:, 0]])
    right = np.concatenate([steps[:, 0], [reference[0]]])
    top = np.concatenate([[reference[1]], steps[:, 1]])
    width = np.clip(right - np.maximum(left, points[:, :1]), 0.0, None)
    return np.asarray((width * np.clip(top - points[:, 1:], 0.0, None)).sum(axis=1))
