"""Warm start: earlier runs of a space seed a search's population, and teach a predictor."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from evoray.pareto import dominance
from evoray.problem.plain_values import plain
from evoray.problem.problem import Problem, summed_violations
from evoray.records.ledger import read_ledger
from evoray.records.records import Record, Records, Status
from evoray.records.run_folder import RunFolder
from evoray.records.table import from_table
from evoray.searchers.base import Lineage, Searcher, is_asynchronous, lineage_of, num_duplicates_of
from searchspaces.base import Choices, key_array

_log = logging.getLogger(__name__)


@runtime_checkable
class LearnsFromOthers(Protocol):
    """A searcher that can learn from records that were not measured in its own run."""

    def tell_prior(self, records: Sequence[Record], source: int) -> None:
        """`source` is 1 or more, one a run; values may be on another level or scale than this
        run's.
        """
        ...


def read_prior(problem: Problem, runs: Sequence[str | os.PathLike[str]]) -> list[Records]:
    """The records of each run.

    Raises:
        FileNotFoundError: One is no run folder.
        ValueError: One searched another space, or its networks are not this space's.
    """
    priors = []
    own = [
        [gene.name, [str(plain(option, gene.name)) for option in gene.options]]
        for gene in problem.space.genes
    ]
    for run in runs:
        folder = RunFolder.open(run)
        job = folder.job()
        genes = [
            [gene["name"], [str(option) for option in gene["options"]]]
            for gene in job.get("genes", [])
        ]
        if genes != own:
            raise ValueError(
                f"run {run} searched space {job.get('space')!r} with other genes than "
                f"{problem.space.name!r} has now: "
                "start from runs of the same space and preset"
            )
        table = read_ledger(folder.ledger)
        records = Records.of([], len(own)) if table is None else from_table(table)
        if len(records):
            records = records.take(
                np.flatnonzero(
                    key_array(problem.space, problem.space.repair(records.choices)) == records.keys
                )
            )
        if len(records) == 0:
            _log.warning("run %s has no evaluations of this space's networks to start from", run)
        priors.append(records)
    return priors


def best_of(problem: Problem, priors: Sequence[Records], count: int) -> Choices:
    """(<= count, g) distinct networks to begin with: run by run the best by rank and crowding, in
    turns; costs are computed anew.
    """
    ranked = [_ranked(problem, records) for records in priors]
    ranked = [rows for rows in ranked if len(rows)]
    if not ranked:
        return np.zeros((0, len(problem.space.genes)), dtype=np.int16)
    turns = np.concatenate([np.arange(len(rows)) for rows in ranked])
    every = np.concatenate(ranked)[np.argsort(turns, kind="stable")]
    first = np.sort(np.unique(key_array(problem.space, every), return_index=True)[1])
    return every[first[:count]]


def _ranked(problem: Problem, records: Records) -> Choices:
    """A run's networks that meet the analytic constraints, best first."""
    rows = records.take(np.flatnonzero(records.status == Status.OK.code))
    costs = problem.cost_values(rows.choices) if len(rows) else {}
    values = {**rows.values, **costs}
    missing = [
        name for name in problem.targets if name not in values or np.isnan(values[name]).any()
    ]
    if len(rows) == 0 or missing:
        if missing and len(rows):
            _log.warning(
                "an earlier run has no %s: it does not seed the population", ", ".join(missing)
            )
        return rows.choices[:0]
    losses = np.stack([problem.goal(name).sign * values[name] for name in problem.targets], axis=1)
    violations = problem.violations(values)
    analytic = summed_violations(problem.analytic_constraints, costs, len(rows))
    order = dominance.survivors(losses, violations, len(rows))
    return rows.choices[order[analytic[order] <= 0]]


class WarmStarted:
    """A searcher that asks for given networks first, and for its own after them."""

    def __init__(self, inner: Searcher, first: Choices) -> None:
        self._inner = inner
        self._first = first
        self._num_given = 0
        self._lineage = Lineage.same("warm start", 0)

    @property
    def asynchronous(self) -> bool:
        """True if the inner searcher is asynchronous."""
        return is_asynchronous(self._inner)

    def ask(self, count: int) -> Choices:
        given = self._first[self._num_given : self._num_given + count]
        self._num_given += len(given)
        self._lineage = Lineage.same("warm start", len(given))
        if len(given) == count:
            return given
        own = self._inner.ask(count - len(given))
        self._lineage = Lineage.concat([self._lineage, lineage_of(self._inner, len(own))])
        return np.concatenate([given, own])

    @property
    def num_duplicates(self) -> int:
        return num_duplicates_of(self._inner)

    def lineage(self) -> Lineage:
        return self._lineage

    def tell(self, records: Sequence[Record]) -> None:
        self._inner.tell(records)

    def state(self) -> dict[str, Any]:
        return {"inner": self._inner.state(), "given": self._num_given}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._inner.restore(state["inner"])
        self._num_given = state["given"]


def warm_started(
    problem: Problem,
    searchers: Sequence[Searcher],
    runs: Sequence[str | os.PathLike[str]],
    *,
    population: int,
) -> list[Searcher]:
    """The searchers as they are without runs; else each learns from all runs if it can, and begins
    with its share of their best.

    Raises:
        FileNotFoundError: A run is not there.
        ValueError: A run searched something else.
    """
    if not runs:
        return list(searchers)
    priors = read_prior(problem, runs)
    best = best_of(problem, priors, population * len(searchers))
    started: list[Searcher] = []
    for index, searcher in enumerate(searchers):
        if isinstance(searcher, LearnsFromOthers):
            for source, records in enumerate(priors, start=1):
                searcher.tell_prior(records, source)
        started.append(WarmStarted(searcher, best[index :: len(searchers)]))
    return started
