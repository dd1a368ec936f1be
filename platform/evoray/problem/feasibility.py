"""Is there anything to find? Refuses a search whose analytic constraints nothing satisfies, before
anything is trained or written.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.problem.problem import Problem
from evoray.seeds import generator_for
from searchspaces.base import Choices

_SAMPLES = 4096
_DESCENT_ROUNDS = 60
_KEPT = 256


def check_feasible(problem: Problem, seed: int = 0) -> None:
    """Looks for one candidate that meets every analytic constraint: corners and samples first, then
    descent on the violation.

    Raises:
        ValueError: None was found; names the constraints and the values that can be reached.
    """
    if not problem.analytic_constraints:
        return
    kinds = variation.GeneKinds.of(problem.space.genes)
    rng = generator_for(seed, "feasibility")
    corners = np.stack([np.zeros_like(kinds.counts), kinds.counts - 1])
    choices = problem.space.repair(
        np.concatenate([corners, variation.sample(kinds, _SAMPLES, rng)])
    )
    violations = _violations(problem, choices)
    reached = {c.name: problem.cost_values(choices)[c.name] for c in problem.analytic_constraints}
    for _ in range(_DESCENT_ROUNDS):
        if violations.min() <= 0:
            return
        best = np.argsort(violations, kind="stable")[:_KEPT]
        children = problem.space.repair(
            variation.mutate(
                np.repeat(choices[best], 4, axis=0), kinds, 1.0 / len(kinds.counts), rng
            )
        )
        choices = np.concatenate([choices[best], children])
        violations = _violations(problem, choices)
    if violations.min() <= 0:
        return
    wanted = " and ".join(map(str, problem.analytic_constraints))
    ranges = ", ".join(
        f"{name} from {column.min():g} to {column.max():g}" for name, column in reached.items()
    )
    nearest = problem.cost_values(choices[[int(violations.argmin())]])
    closest = ", ".join(
        f"{name} = {column[0]:g}" for name, column in nearest.items() if name in reached
    )
    raise ValueError(
        f"no architecture of space {problem.space.name!r} satisfies {wanted}: samples have "
        f"{ranges}; the nearest found has {closest}; "
        "loosen the constraint or choose another space"
    )


def _violations(problem: Problem, choices: Choices) -> NDArray[np.float64]:
    costs = problem.cost_values(choices)
    total = np.zeros(len(choices))
    for constraint in problem.analytic_constraints:
        total += constraint.violation(costs[constraint.name])
    return total
