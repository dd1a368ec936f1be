"""Successive halving within a generation (Jamieson and Talwalkar 2016, arXiv:1502.07943): part of
the data first, all of it for the best.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evoray.evaluation.evaluator import Evaluator, stages
from evoray.pareto import dominance
from evoray.problem.problem import Problem
from evoray.records.records import Record, Status
from searchspaces.base import Architecture


@dataclass(frozen=True, kw_only=True)
class Halving:
    """Rungs of successive halving: the share of the data that candidates see before the next
    choice.

    Attributes:
        rungs: Measurements on the way up, the last on all data; 1 measures everything on all data
            at once.
        eta: Factor from rung to rung: one of so many candidates climbs, and sees so many times as
            much data.
    """

    rungs: int = 2
    eta: int = 3

    def __post_init__(self) -> None:
        if self.rungs < 1 or self.eta < 2:
            raise ValueError(
                "successive halving needs at least 1 rung and an eta of at least 2, got "
                f"{self.rungs} and {self.eta}"
            )

    @property
    def shares(self) -> list[float]:
        """Shares of the data at each rung, ending with 1."""
        return [float(self.eta) ** -(self.rungs - 1 - rung) for rung in range(self.rungs)]


class HalvingEvaluator:
    """An evaluator that treats the candidates submitted together as one cohort.

    Each rung measures what can be measured on a part of its data (`PartlyMeasurable`); by that and
    by the costs, rank and crowding under constraint domination decide who climbs. The others become
    records that are STOPPED and have no values. A cohort's records come out together, because who
    is stopped depends on all of them: so the same seed gives the same records on any number of
    workers, and after a crash the whole cohort is measured again.
    """

    def __init__(self, problem: Problem, inner: Evaluator, halving: Halving) -> None:
        """Takes over `inner`.

        Raises:
            ValueError: No target or constraint of the problem can be measured on a part of its
                data.
        """
        partly = [
            v for stage in stages(problem, 0.5) for name in stage for v in problem.names_of(name)
        ]
        wanted = {*problem.targets, *(c.name for c in problem.constraints)}
        if halving.rungs > 1 and not wanted.intersection(partly):
            raise ValueError(
                "successive halving needs an objective that can be measured on a part of its "
                f"data, and none of {sorted(wanted)} can: "
                "give one a method measure_part, or use 1 rung"
            )
        self._problem = problem
        self._inner = inner
        self._halving = halving
        self._known = [
            name for name in problem.targets if name in partly or name not in problem.measured_names
        ]
        self._cohorts: list[_Cohort] = []
        self._cohort_of: dict[str, _Cohort] = {}

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        if share != 1.0:
            raise ValueError(
                f"a halving evaluator decides on the share of the data itself, got share {share}"
            )
        cohort = _Cohort(list(architectures))
        self._cohorts.append(cohort)
        self._measure(cohort, cohort.architectures)

    def collect(self, timeout: float) -> list[Record]:
        for record in self._inner.collect(timeout):
            cohort = self._cohort_of.pop(record.key)
            cohort.measured[record.key] = record
            if len(cohort.measured) == cohort.num_awaited:
                self._climb(cohort)
        done = [cohort for cohort in self._cohorts if not cohort.num_awaited]
        self._cohorts = [cohort for cohort in self._cohorts if cohort.num_awaited]
        return [cohort.ended[a.key] for cohort in done for a in cohort.architectures]

    def close(self) -> None:
        self._inner.close()
        self._cohorts, self._cohort_of = [], {}

    def _measure(self, cohort: _Cohort, architectures: Sequence[Architecture]) -> None:
        cohort.measured, cohort.num_awaited = {}, len(architectures)
        self._cohort_of.update({a.key: cohort for a in architectures})
        self._inner.submit(architectures, self._halving.shares[cohort.rung])

    def _climb(self, cohort: _Cohort) -> None:
        """Ends the rung: who failed or has seen all data is done, the best of the others go on, the
        rest are stopped.
        """
        cohort.num_awaited = 0
        records = [cohort.measured[a.key] for a in cohort.architectures if a.key in cohort.measured]
        if cohort.rung == self._halving.rungs - 1:
            cohort.ended.update({r.key: r for r in records})
            return
        cohort.ended.update({r.key: r for r in records if r.error})
        alive = [r for r in records if not r.error]
        if not alive:
            return
        chosen = self._best(alive, math.ceil(len(records) / self._halving.eta))
        cohort.ended.update({r.key: _stopped(r) for r in alive if r.key not in chosen})
        cohort.rung += 1
        self._measure(cohort, [a for a in cohort.architectures if a.key in chosen])

    def _best(self, records: Sequence[Record], count: int) -> set[str]:
        """Keys of those that climb; the order of the records decides between equals."""
        choices = np.array([r.choices for r in records], dtype=np.int16)
        values = {name: np.array([r.values[name] for r in records]) for name in records[0].values}
        values |= self._problem.cost_values(choices)
        losses = np.stack(
            [self._problem.goal(name).sign * values[name] for name in self._known], axis=1
        )
        kept = dominance.survivors(losses, self._problem.violations(values), count)
        return {records[i].key for i in kept}


class _Cohort:
    """Candidates on their way up together."""

    def __init__(self, architectures: list[Architecture]) -> None:
        self.architectures = architectures
        self.rung = 0
        self.num_awaited = 0
        self.measured: dict[str, Record] = {}
        self.ended: dict[str, Record] = {}


def _stopped(record: Record) -> Record:
    return dataclasses.replace(record, values={}, status=Status.STOPPED)
