"""The selector of EAGAN's released code, after CARS (Yang et al. 2020, arXiv:1909.04977): for
comparison with runs of that code only.

The paper (arXiv:2111.15097) sorts all objectives together. This one sorts the first with each other
one, once as it is and once with its sign turned, and unites the four rankings; it keeps extremes of
both kinds, so the worst of an objective survive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoray.pareto import dominance
from evoray.pareto.dominance import Losses


def survivors(losses: Losses, violations: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Indices of `count` points by the best of their ranks in the bi-objective sorts; ties keep
    their input order, infeasible ones come last.
    """
    feasible = np.flatnonzero(violations <= 0)
    infeasible = np.flatnonzero(~(violations <= 0))
    points = losses[feasible]
    first, others = points[:, :1], points[:, 1:].T
    sorts = [
        dominance.ranks(np.column_stack([first, sign * other]))
        for other in others
        for sign in (1.0, -1.0)
    ] or [dominance.ranks(points)]
    best = np.min(sorts, axis=0)
    order = np.concatenate(
        [
            feasible[np.argsort(best, kind="stable")],
            infeasible[np.argsort(violations[infeasible], kind="stable")],
        ]
    )
    return np.asarray(order[:count], dtype=np.int64)
