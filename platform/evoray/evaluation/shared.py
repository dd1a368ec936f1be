"""An evaluator that measures once what several candidates have in common: the networks of designs
that differ in their chip alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from evoray.evaluation.evaluator import Evaluator
from evoray.evaluation.subjects import value_subject
from evoray.problem.problem import Problem
from evoray.records.records import Record, Records, Status
from objectives.base import Combined
from searchspaces.base import Architecture

Subjects = tuple[str, ...]  # of every direct objective, what its value depends on


class SharedEvaluator:
    """Sends one candidate of each group with the same subjects to an inner evaluator, and gives its
    values to all of the group.

    The subject of an objective without a method `subject` is the whole candidate. Combined
    objectives are computed from the others.

    """

    def __init__(
        self, problem: Problem, inner: Evaluator, memory: dict[Subjects, Record] | None = None
    ) -> None:
        """Takes over `inner`, which must measure `direct(problem)`.

        `memory` holds what is known by subjects and is added to; give one to several evaluators
        whose subjects mean the same.
        """
        self._names = frozenset(problem.measured_names)
        self._combined = [o for o in problem.measured if isinstance(o, Combined)]
        self._direct = [o for o in problem.measured if not isinstance(o, Combined)]
        self._space = problem.space
        self._inner = inner
        self._known: dict[Subjects, Record] = {} if memory is None else memory
        self._waiting: dict[
            str, tuple[Subjects, list[Architecture]]
        ] = {}  # by the key of the candidate that is measured
        self._measuring: dict[Subjects, str] = {}
        self._finished: list[Record] = []

    def remember(self, records: Records) -> None:
        """Takes over the values of records of an earlier run of this problem."""
        for record in records:
            if record.status is Status.OK:
                self._known.setdefault(
                    self._subjects(Architecture(self._space.name, record.choices, record.key)),
                    record,
                )

    def num_subjects(self, records: Records) -> int:
        """Number of these records' values that would have had to be measured on their own, had
        nothing been known.
        """
        return len(self.subjects(records))

    def subjects(self, records: Records) -> set[Subjects]:
        """All that these records' values depend on."""
        return {
            self._subjects(Architecture(self._space.name, record.choices, record.key))
            for record in records
        }

    def within(self, records: Records, count: int) -> Records:
        """The first of these records, as far as measuring `count` times on their own sufficed, had
        nothing been known.
        """
        seen: set[Subjects] = set()
        for row in range(len(records)):
            seen |= self.subjects(records[row : row + 1])
            if len(seen) > count:
                return records[:row]
        return records

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        """Raises ValueError for a share below 1: parts of a measurement are not shared."""
        if share != 1.0:
            raise ValueError(
                f"shared measurements are whole, got share {share}: use this evaluator without "
                "successive halving"
            )
        new: list[Architecture] = []
        for architecture in architectures:
            subjects = self._subjects(architecture)
            if subjects in self._known:
                self._finished.append(self._copy(self._known[subjects], architecture))
            elif subjects in self._measuring:
                self._waiting[self._measuring[subjects]][1].append(architecture)
            else:
                self._measuring[subjects] = architecture.key
                self._waiting[architecture.key] = (subjects, [])
                new.append(architecture)
        if new:
            self._inner.submit(new)

    def collect(self, timeout: float) -> list[Record]:
        if self._waiting:
            for record in self._inner.collect(0.0 if self._finished else timeout):
                self._take(record)
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        self._inner.close()
        self._waiting, self._measuring, self._finished = {}, {}, []

    def _take(self, record: Record) -> None:
        subjects, followers = self._waiting.pop(record.key)
        del self._measuring[subjects]
        if record.status is Status.OK:
            values = dict(record.values)
            values |= {objective.name: objective.combine(values) for objective in self._combined}
            record = dataclasses.replace(record, values=values)
            self._known[subjects] = record
        self._finished.append(record)
        self._finished += [self._copy(record, architecture) for architecture in followers]

    def _copy(self, record: Record, architecture: Architecture) -> Record:
        """The measured values of another candidate with the same subjects; it took no time."""
        return Record(
            key=architecture.key,
            choices=architecture.choices,
            values={name: value for name, value in record.values.items() if name in self._names},
            status=record.status,
            error=record.error,
            worker=record.worker,
            weights_digest=record.weights_digest,
        )

    def _subjects(self, architecture: Architecture) -> Subjects:
        return tuple(
            value_subject(objective, self._space, architecture) for objective in self._direct
        )


def direct(problem: Problem) -> Problem:
    """The problem of the inner evaluator: what must be measured, without what is combined from
    it.
    """
    measured = tuple(o for o in problem.measured if not isinstance(o, Combined))
    values = tuple(name for o in measured for name in problem.names_of(o.name))
    names = {*values, *(c.name for c in problem.costs)}
    return dataclasses.replace(
        problem,
        measured=measured,
        targets=values or problem.targets,
        constraints=tuple(c for c in problem.constraints if c.name in names),
    )
