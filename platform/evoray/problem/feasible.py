"""Drawing networks whose costs lie in a window, as many as are wanted and in bounded time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.problem.problem import Constraint, Problem
from searchspaces.base import Choices

_ROUNDS = 40
_LEAST_DRAWN = 256


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
        total = np.zeros(len(choices))
        if self._constraints and len(choices):
            costs = self._problem.cost_values(choices)
            for constraint in self._constraints:
                total += constraint.violation(costs[constraint.name])
        return total

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
