"""The networks whose costs meet the analytic constraints: drawing as many of them as are wanted in
bounded time, and refusing a search that has none before anything is trained or written.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.problem.problem import Constraint, Problem, summed_violations
from evoray.seeds import generator_for
from searchspaces.base import Choices

_ROUNDS = 40
_LEAST_DRAWN = 256
_CHECKED = 4096  # samples in which `check_feasible` looks first
_DESCENT_ROUNDS = 60
_KEPT = 256


class FeasibleSampler:
    """Rows inside of all of a problem's analytic constraints.

    Uniform samples are kept where they fit. When few do, the ones that miss are moved: those over
    the window shrink and those under it grow, gene by gene, by genetic steps that lower the
    violation. That biases what is found towards the window's edges, and is why the plain samples
    come first.
    """

    def __init__(self, problem: Problem, constraints: Sequence[Constraint] | None = None) -> None:
        """`constraints` takes the place of the problem's analytic ones; each must be on a cost."""
        self._problem = problem
        self._constraints = (
            problem.analytic_constraints if constraints is None else tuple(constraints)
        )
        self._kinds = variation.GeneKinds.of(problem.space.genes)

    def fits(self, choices: Choices) -> NDArray[np.bool_]:
        """(n,): which canonical rows lie inside."""
        return np.asarray(self.violations(choices) <= 0)

    def violations(self, choices: Choices) -> NDArray[np.float64]:
        """(n,): how far outside canonical rows lie, as the sum over the constraints."""
        if not self._constraints or len(choices) == 0:
            return np.zeros(len(choices))
        costs = self._problem.cost_values(choices)
        return summed_violations(self._constraints, costs, len(choices))

    def draw(self, count: int, rng: np.random.Generator) -> Choices:
        """(count, g) canonical rows inside, not necessarily distinct.

        Raises:
            ValueError: None was found; says what was reached.
        """
        found: list[Choices] = []
        missing = count
        pool = self._sample(max(2 * count, _LEAST_DRAWN), rng)
        for _ in range(_ROUNDS):
            violations = self.violations(pool)
            inside = pool[violations <= 0]
            found.append(inside[:missing])
            missing -= len(found[-1])
            if missing == 0:
                return np.concatenate(found)
            if len(inside) * 4 >= len(pool):
                pool = self._sample(len(pool), rng)
                continue
            nearest = np.argsort(violations, kind="stable")[: max(len(pool) // 4, 1)]
            parents = pool[nearest[rng.integers(0, len(nearest), size=len(pool) // 2)]]
            moved = variation.mutate(parents, self._kinds, 2.0 / len(self._kinds.counts), rng)
            pool = np.concatenate(
                [self._problem.space.repair(moved), self._sample(len(pool) - len(moved), rng)]
            )
        rows = np.concatenate(found)
        if len(rows) == 0:
            raise ValueError(self._nothing(pool))
        return rows[rng.integers(0, len(rows), size=count)]

    def _sample(self, count: int, rng: np.random.Generator) -> Choices:
        return self._problem.space.repair(variation.sample(self._kinds, count, rng))

    def _nothing(self, pool: Choices) -> str:
        costs = self._problem.cost_values(pool)
        reached = ", ".join(
            f"{c.name} from {costs[c.name].min():g} to {costs[c.name].max():g}"
            for c in self._constraints
        )
        wanted = " and ".join(map(str, self._constraints))
        return (
            f"nothing in space {self._problem.space.name!r} was found with {wanted}; what was "
            f"drawn has {reached}: widen the window"
        )


def check_feasible(problem: Problem, seed: int = 0) -> None:
    """Looks for one candidate that meets every analytic constraint: corners and samples first, then
    descent on the violation.

    Raises:
        ValueError: None was found; names the constraints and the values that can be reached.
    """
    if not problem.analytic_constraints:
        return
    kinds = variation.GeneKinds.of(problem.space.genes)
    sampler = FeasibleSampler(problem)
    rng = generator_for(seed, "feasibility")
    corners = np.stack([np.zeros_like(kinds.counts), kinds.counts - 1])
    choices = problem.space.repair(
        np.concatenate([corners, variation.sample(kinds, _CHECKED, rng)])
    )
    violations = sampler.violations(choices)
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
        violations = sampler.violations(choices)
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
