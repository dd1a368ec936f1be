"""One co-design problem as every method sees it: the joint space, the specs, the chip's cost model,
where accuracies come from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray.evaluation.evaluator import Evaluator
from evoray.evaluation.shared import Subjects
from evoray.problem.problem import Constraint, Problem
from evoray.records.ledger import Ledger, MemoryLedger
from evoray.records.records import Record, Records, Status
from objectives import asic
from objectives.asic.chips import ChipModel
from objectives.asic.specs import METRICS, Specs
from objectives.base import CostModel, Objective
from searchspaces.base import Choices, SearchSpace, builds
from searchspaces.parts.product import Product

ACCURACY = "accuracy"  # the name of what a study maximises
COSTS = tuple(f"asic_{metric}" for metric in METRICS)


@dataclass(frozen=True)
class Study:
    """Problem, specs and prices that all methods are compared on.

    Attributes:
        space: Networks, then the chip.
        specs: Limits of the chip.
        model: Prices whole designs of the space; its latency limit is the latency spec.
        objectives: (space) -> what is measured in a product of these networks, with or without the
            chip; the last is named "accuracy".
        evaluator: (problem) -> measures its direct objectives.
        ledger: (method, problem) -> where the method's records are kept.
        memory: Known values of networks, for all methods together.
    """

    space: Product
    specs: Specs
    model: ChipModel
    objectives: Callable[[Product], tuple[Objective, ...]]
    evaluator: Callable[[Problem], Evaluator]
    ledger: Callable[[str, Problem], AbstractContextManager[Ledger]] = lambda method, problem: (
        nullcontext(MemoryLedger(len(problem.space.genes)))
    )
    memory: dict[Subjects, Record] = field(default_factory=dict)

    def problem(self, space: SearchSpace | None = None) -> Problem:
        """Accuracy against latency, energy and area within the specs, over the joint space or a
        restriction of it.
        """
        costs: tuple[CostModel, ...] = tuple(
            asic.build(self.space, metric, model=self.model)  # type: ignore[arg-type]
            for metric in METRICS
        )
        bounds = tuple(
            Constraint(name, at_most=getattr(self.specs, metric))
            for name, metric in zip(COSTS, METRICS, strict=True)
            if np.isfinite(getattr(self.specs, metric))
        )
        return Problem(
            space or self.space, self.objectives(self.space), costs, (ACCURACY, *COSTS), bounds
        )

    def networks_problem(self) -> Problem:
        """Accuracy alone, over the networks without the chip."""
        space = self.networks
        return Problem(space, self.objectives(space), (), (ACCURACY,))

    @property
    def networks(self) -> Product:
        """The space without its chip."""
        kept = [
            (label, part)
            for label, part in zip(self.space.labels, self.space.parts, strict=True)
            if builds(part)
        ]
        labels, parts = zip(*kept, strict=True)
        return dataclasses.replace(
            self.space, name=f"{self.space.name}-networks", labels=labels, parts=parts
        )

    @property
    def chip(self) -> Any:  # Any: the part with the chip's genes
        return next(part for part in self.space.parts if not builds(part))

    def designs(self, networks: Choices, chips: Choices) -> Choices:
        """(n, g) rows of the joint space from rows of the networks and rows of the chip; one row of
        either serves all.
        """
        num = max(len(networks), len(chips))
        parts, taken = [], 0
        for part in self.space.parts:
            if builds(part):
                parts.append(
                    np.broadcast_to(
                        networks[:, taken : taken + len(part.genes)], (num, len(part.genes))
                    )
                )
                taken += len(part.genes)
            else:
                parts.append(np.broadcast_to(chips, (num, len(part.genes))))
        return self.space.repair(np.concatenate(parts, axis=1))

    def networks_of(self, designs: Choices) -> Choices:
        """(n, g) joint rows -> their networks' columns."""
        return np.concatenate(
            [own for part, own in self.space.split(designs) if builds(part)], axis=1
        )

    def costs(self, designs: Choices) -> dict[str, NDArray[np.float64]]:
        """(n, g) canonical joint rows -> "asic_latency", "asic_energy", "asic_area", (n,) each."""
        return self.problem().cost_values(designs)

    def violations(self, costs: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """(n,) how far these costs are outside of the specs."""
        return self.specs.violation(
            {metric: costs[name] for name, metric in zip(COSTS, METRICS, strict=True)}
        )

    def burden(self, costs: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """(n,) latency, energy and area over their specs, summed: which of equally accurate designs
        is the better one.
        """
        shares = [
            costs[name] / limit
            if np.isfinite(limit)
            else costs[name] / max(float(np.median(costs[name])), 1e-300)
            for name, limit in zip(
                COSTS, (getattr(self.specs, metric) for metric in METRICS), strict=True
            )
        ]
        return np.asarray(sum(shares), dtype=np.float64)

    def best(self, records: Records) -> int | None:
        """Row of the most accurate design that meets the specs (the least burden among equals, then
        the key), else of the one nearest to them.
        """
        ok = np.flatnonzero(records.status == Status.OK.code)
        if not len(ok):
            return None
        known = records.take(ok)
        costs = {name: known.values[name] for name in COSTS}
        order = np.lexsort(
            (known.keys, self.burden(costs), -known.values[ACCURACY], known.violations)
        )
        return int(ok[order[0]])
