"""The problem that a search solves: the objectives with their goals, and the constraints that
bind.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evoray.problem.plain_values import plain
from evoray.records.records import Record, Records, Status
from evoray.records.table import check_value_names, schema
from objectives.base import CostModel, Goal, Measurable, Value, values_of
from searchspaces.base import Choices, SearchSpace, nearest

Losses = NDArray[np.float64]  # (n, m): n candidates, m objectives, every column to be minimised
WORST_VIOLATION = (
    1e30  # of a failed record: finite, so that states stay JSON, and beyond any real one
)
# of a record that successive halving stopped: better than failed, worse than any broken constraint
STOPPED_VIOLATION = 1e29


@dataclass(frozen=True)
class Constraint:
    """A bound on an objective or a cost.

    Attributes:
        name: The objective or cost.
        at_most: Upper bound in its unit, or None.
        at_least: Lower bound in its unit, or None.
    """

    name: str
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        for side in ("at_most", "at_least"):
            object.__setattr__(self, side, _bound(self.name, side, getattr(self, side)))
        if self.at_most is None and self.at_least is None:
            raise ValueError(
                f"constraint on {self.name!r} needs a finite at_most or at_least, got neither"
            )
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise ValueError(
                f"constraint on {self.name!r}: at_least {self.at_least} is above at_most "
                f"{self.at_most}"
            )

    def __str__(self) -> str:
        parts = [f"{self.name} >= {self.at_least:g}"] if self.at_least is not None else []
        return " and ".join(
            [*parts, *([f"{self.name} <= {self.at_most:g}"] if self.at_most is not None else [])]
        )

    def violation(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) values -> (n,): how far outside, relative to the bound (absolute where the bound is
        0); 0 inside.
        """
        excess = np.zeros_like(values, dtype=np.float64)
        if self.at_most is not None:
            excess += np.maximum(values - self.at_most, 0.0) / (abs(self.at_most) or 1.0)
        if self.at_least is not None:
            excess += np.maximum(self.at_least - values, 0.0) / (abs(self.at_least) or 1.0)
        return excess


def _bound(name: str, side: str, value: object) -> float | None:
    if value is None:
        return None
    try:
        number = float("nan") if isinstance(value, bool | np.bool_ | str) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"constraint on {name!r} needs a finite number as {side}, got {value!r}")
    return number


def summed_violations(
    constraints: Sequence[Constraint], values: Mapping[str, NDArray[np.float64]], num: int
) -> NDArray[np.float64]:
    """(num,): sum of these constraints' violations over the values that are there; NaN counts as
    not there.
    """
    total = np.zeros(num)
    for constraint in constraints:
        if constraint.name in values:
            total += np.nan_to_num(constraint.violation(values[constraint.name]), nan=0.0)
    return total


_BOUND = re.compile(r"\s*([^<>=]*[^<>=\s])\s*(<=|>=)\s*([-+0-9.eE]+)\s*")


def parse_constraint(text: str) -> Constraint:
    """The constraint that a text such as "macs<=2e6" or "accuracy >= 90" means.

    Raises:
        ValueError: It means none.
    """
    match = _BOUND.fullmatch(text)
    try:
        bound = float(match[3]) if match else math.nan
    except ValueError:
        bound = math.nan
    if match is None or not math.isfinite(bound):
        raise ValueError(
            f"cannot read the constraint {text!r}: write NAME<=NUMBER or NAME>=NUMBER, such as "
            "'macs<=2e6'"
        )
    return (
        Constraint(match[1], at_most=bound)
        if match[2] == "<="
        else Constraint(match[1], at_least=bound)
    )


@dataclass(frozen=True)
class Problem:
    """A space, its objectives and constraints.

    Attributes:
        space: Search space that candidates come from.
        measured: Objectives measured on workers, each with one value or several.
        costs: Cost models computed from genes.
        targets: Names of those that are optimised, in the order of the loss columns; the rest are
            recorded and may be constrained.
        constraints: All must hold.
    """

    space: SearchSpace
    measured: tuple[Measurable, ...]
    costs: tuple[CostModel, ...]
    targets: tuple[str, ...]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        names = self.value_names
        check_value_names(names, self.measurements)
        if not self.targets:
            raise ValueError(f"a search needs at least one target; {nearest('', names)}")
        for kind, wanted in (
            ("target", self.targets),
            ("constraint", [c.name for c in self.constraints]),
        ):
            for name in wanted:
                if name not in names:
                    raise ValueError(
                        f"{kind} {name!r} is neither an objective nor a cost of this search; "
                        f"{nearest(str(name), names)}"
                    )
        twice = [name for index, name in enumerate(self.targets) if name in self.targets[:index]]
        if twice:
            raise ValueError(
                f"target {twice[0]!r} is given twice: name each target once, got "
                f"{', '.join(self.targets)}"
            )
        self._check_windows()

    def _check_windows(self) -> None:
        for name in dict.fromkeys(c.name for c in self.constraints):
            least = max(
                (c.at_least for c in self.constraints if c.name == name and c.at_least is not None),
                default=-math.inf,
            )
            most = min(
                (c.at_most for c in self.constraints if c.name == name and c.at_most is not None),
                default=math.inf,
            )
            if least > most:
                raise ValueError(
                    f"the constraints on {name!r} contradict each other: nothing is at least "
                    f"{least:g} and at most {most:g}; loosen one"
                )

    def without_objectives(self) -> Problem:
        """The same search for a process that measures nothing: of its objectives the values that
        they yield, so that what they hold and import stays on the workers.
        """
        values = tuple(value for o in self.measured for value in values_of(o))
        return replace(self, measured=cast(tuple[Measurable, ...], values))

    @property
    def value_names(self) -> tuple[str, ...]:
        """Every measured value, then every cost."""
        return self.measured_names + tuple(c.name for c in self.costs)

    @property
    def measured_names(self) -> tuple[str, ...]:
        """Every value that is measured on workers."""
        return tuple(name for names in self._yielded.values() for name in names)

    @cached_property
    def _yielded(self) -> dict[str, tuple[str, ...]]:
        return {o.name: tuple(value.name for value in values_of(o)) for o in self.measured}

    @property
    def measurements(self) -> tuple[str, ...]:
        """Every measured objective; of one with a single value the name is the value's."""
        return tuple(o.name for o in self.measured)

    def names_of(self, measurement: str) -> tuple[str, ...]:
        """The values of one measured objective."""
        return self._yielded[measurement]

    def columns(self) -> pa.Schema:
        """The columns of a ledger of this problem."""
        return schema(self.value_names, self.measurements)

    @property
    def analytic_constraints(self) -> tuple[Constraint, ...]:
        """The constraints on costs: settled before dispatch."""
        return tuple(c for c in self.constraints if c.name not in self.measured_names)

    @property
    def measured_constraints(self) -> tuple[Constraint, ...]:
        """The constraints on measured values: settled at selection."""
        return tuple(c for c in self.constraints if c.name in self.measured_names)

    def goal(self, name: str) -> Goal:
        """Direction in which the value `name` is better."""
        return Goal(self._described(name).goal)

    def unit(self, name: str) -> str:
        """Unit of the value `name`."""
        return self._described(name).unit

    def cost_values(self, choices: Choices) -> dict[str, NDArray[np.float64]]:
        """(n, g) canonical choices -> every cost, (n,) each.

        Raises:
            ValueError: A cost model returned something else than n finite values.
        """
        values = {}
        for cost in self.costs:
            found = np.asarray(
                cost.evaluate(choices.copy())
            )  # a copy: one that writes into it would change the networks
            if found.dtype.kind not in "biufO":  # O: such as Decimal
                raise ValueError(f"cost {cost.name!r} must return real numbers, got {found.dtype}")
            column = found.astype(np.float64)
            if column.shape != (len(choices),) or not np.isfinite(column).all():
                raise ValueError(
                    f"cost {cost.name!r} must return {len(choices)} finite values, got shape "
                    f"{column.shape} with "
                    f"{int((~np.isfinite(column)).sum())} that are not finite"
                )
            values[cost.name] = column
        return values

    def losses(self, records: Sequence[Record]) -> tuple[Losses, NDArray[np.float64]]:
        """Records as (n, m) losses and (n,) violations; a record that lacks a target is as bad as
        can be: the worst violation.
        """
        columns = Records.of(records, len(self.space.genes))
        losses = np.zeros((len(columns), len(self.targets)))
        violations = columns.violations.copy()
        ok = columns.status == Status.OK.code
        for j, name in enumerate(self.targets):
            if len(columns) and name in columns.values:
                losses[:, j] = np.where(ok, self.goal(name).sign * columns.values[name], 0.0)
        violations[columns.status == Status.STOPPED.code] = STOPPED_VIOLATION
        violations[columns.failed] = WORST_VIOLATION
        return losses, violations

    def violations(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """(n,): sum of all constraints' violations over the values that are there; NaN counts as
        not there.
        """
        num = len(next(iter(values.values()))) if values else 0
        return summed_violations(self.constraints, values, num)

    def violation(self, values: Mapping[str, float]) -> float:
        """The same for one candidate."""
        return (
            float(self.violations({name: np.array([value]) for name, value in values.items()})[0])
            if values
            else 0.0
        )

    def _described(self, name: str) -> Value | CostModel:
        described: dict[str, Value | CostModel] = {
            value.name: value for o in self.measured for value in values_of(o)
        }
        return {**described, **{c.name: c for c in self.costs}}[name]


def describe(problem: Problem) -> dict[str, Any]:
    """Space, genes, values and constraints of a problem, as job.json holds them and reports read
    them.
    """
    kinds = {
        name: "measured" if name in problem.measured_names else "cost"
        for name in problem.value_names
    }
    return {
        "space": problem.space.name,
        "genes": [
            {"name": gene.name, "options": plain(gene.options, f"options of gene {gene.name!r}")}
            for gene in problem.space.genes
        ],
        "values": [
            {
                "name": name,
                "unit": problem.unit(name),
                "goal": problem.goal(name).value,
                "kind": kind,
                "target": name in problem.targets,
            }
            for name, kind in kinds.items()
        ],
        "constraints": [
            {"name": c.name, "at_most": c.at_most, "at_least": c.at_least}
            for c in problem.constraints
        ],
    }
