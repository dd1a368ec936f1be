"""The evaluator contract, and the local one that measures in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch

from evoray.evaluation.worker import EvaluationWorker, Reading, Weights
from evoray.problem.problem import Problem
from evoray.records.columns import Floats, texts
from evoray.records.records import Record, Records, Status
from objectives.base import PartlyMeasurable
from searchspaces.base import Architecture

_BATCH_SECONDS = 0.05
_OK, _CANCELLED, _FAILED = Status.OK.code, Status.CANCELLED.code, Status.FAILED.code

# Keeps a candidate's files: the candidate's key, the objective's name, the files by name.
KeepFiles = Callable[[str, str, Mapping[str, bytes]], None]
_Ended = tuple[
    dict[str, float], dict[str, float], int, str, int
]  # values, seconds, status, error, attempts


class Evaluator(Protocol):
    """Measures candidates under every measured objective of a problem.

    Its records hold measured values only; costs, violations and lineage are the search's to add.
    """

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        """Queues candidates; a key must not be queued twice at a time.

        With a `share` below 1 only what can be measured on a part of its data is measured, on that
        share.
        """
        ...

    def collect(self, timeout: float) -> Sequence[Record]:
        """Records finished by now; waits up to `timeout` seconds for the first. Empty when nothing
        ended in time.
        """
        ...

    def close(self) -> None:
        """Frees what it holds; what was queued is forgotten."""
        ...


def stages(problem: Problem, share: float = 1.0) -> list[list[str]]:
    """The order of measuring: objectives with a constrained value first, so that a broken
    constraint cancels the rest.

    On a share of the data, only those that can be measured so.
    """
    if share < 1.0:
        partly = [o.name for o in problem.measured if isinstance(o, PartlyMeasurable)]
        return [partly] if partly else []
    gates = {c.name for c in problem.measured_constraints}
    first = [name for name in problem.measurements if gates.intersection(problem.names_of(name))]
    rest = [name for name in problem.measurements if name not in first]
    return [stage for stage in (first, rest) if stage]


class Attempt:
    """One candidate on its way through the stages; evaluators advance it, `record` is what came
    out.

    Attributes:
        architecture: Architecture to measure.
        share: Share of the data to measure on.
        waiting: Objectives of the present stage that have no value yet.
        nodes_lost: Number of nodes that went down while they measured it.
    """

    __slots__ = (
        "_cancelled",
        "_digest",
        "_error",
        "_max_attempts",
        "_problem",
        "_seconds",
        "_stages",
        "_tries",
        "_values",
        "_workers",
        "architecture",
        "nodes_lost",
        "share",
        "waiting",
    )

    def __init__(
        self,
        problem: Problem,
        architecture: Architecture,
        order: Sequence[Sequence[str]],
        *,
        share: float = 1.0,
        max_attempts: int,
        weights_digest: str,
    ) -> None:
        """`order` is `stages(problem, share)`."""
        self.architecture = architecture
        self.share = share
        self.nodes_lost = 0
        self._problem = problem
        self._stages = list(order[1:])
        self._max_attempts = max_attempts
        self._digest = weights_digest
        self._values: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._error = ""
        self._cancelled = False
        self._workers: list[str] = []
        self.waiting: list[str] = list(order[0]) if order else []

    def take(self, name: str, reading: Reading, worker: str) -> bool:
        """Takes one objective's measurement; True when that objective has to measure again."""
        self._tries[name] = self._tries.get(name, 0) + 1
        if worker and worker not in self._workers:
            self._workers.append(worker)
        if reading.error:
            if self._tries[name] < self._max_attempts:
                return True
            self._error = _failure(name, reading.error, self._tries[name])
            self.waiting, self._stages = [], []
            return False
        self._values.update(zip(self._problem.names_of(name), reading.values, strict=True))
        self._seconds[name] = reading.seconds
        self.waiting.remove(name)
        return False

    def next_stage(self) -> list[str]:
        """Moves on when nothing is waiting: returns the objectives of the next stage, which are
        waiting now; none when the candidate is done.
        """
        if not self.waiting and self._stages and not self._error:
            if self._problem.violation(self._values) > 0:
                self._cancelled, self._stages = True, []
            else:
                self.waiting = list(self._stages.pop(0))
                return self.waiting
        return []

    def record(self) -> Record:
        """The finished candidate."""
        status = (
            Status.FAILED if self._error else Status.CANCELLED if self._cancelled else Status.OK
        )
        return Record(
            key=self.architecture.key,
            choices=self.architecture.choices,
            values=self._values,
            seconds=self._seconds,
            status=status,
            error=self._error,
            attempts=max(self._tries.values(), default=1),
            worker=" ".join(self._workers),
            weights_digest=self._digest,
        )


def _failure(name: str, error: str, tries: int) -> str:
    return f"{name}: {error}" + (f" ({tries} attempts)" if tries > 1 else "")


class LocalEvaluator:
    """Measures one candidate after the other in this process. It cannot stop an objective that
    never returns; the Ray one can.
    """

    def __init__(
        self,
        problem: Problem,
        weights: Weights | None = None,
        *,
        weights_digest: str = "",
        max_attempts: int = 1,
        device: str = "cpu",
        keep_files: KeepFiles | None = None,
    ) -> None:
        """`keep_files` is given what objectives leave of a candidate, before its record ends; None
        drops it.
        """
        self._problem = problem
        self._keep_files = keep_files
        self._names = {name: problem.names_of(name) for name in problem.measurements}
        self._weights_digest = weights_digest
        self._max_attempts = max_attempts
        threads = torch.get_num_threads()
        self._workers: Mapping[str, EvaluationWorker] = {
            o.name: EvaluationWorker(problem.space, o, weights, device) for o in problem.measured
        }
        torch.set_num_threads(threads)
        self._worker = next((worker.ready() for worker in self._workers.values()), "")
        self._orders: dict[float, list[list[tuple[str, EvaluationWorker]]]] = {}  # by share
        self._queue: deque[tuple[Architecture, float]] = deque()

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        self._orders[share] = [
            [(name, self._workers[name]) for name in stage]
            for stage in stages(self._problem, share)
        ]
        self._queue.extend([(architecture, share) for architecture in architectures])

    def collect(self, timeout: float) -> Records:
        """One record however long it takes, and what else ends within a twentieth of a second, so
        that quick work is written in batches.
        """
        until = time.monotonic() + min(timeout, _BATCH_SECONDS)
        candidates: list[Architecture] = []
        ended: list[_Ended] = []
        threads = torch.get_num_threads()
        try:
            while self._queue and (not ended or time.monotonic() < until):
                architecture, share = self._queue.popleft()
                candidates.append(architecture)
                ended.append(self._evaluate(architecture, share))
        finally:
            torch.set_num_threads(threads)
        return self._records(candidates, ended)

    def close(self) -> None:
        self._queue.clear()

    def _evaluate(self, architecture: Architecture, share: float) -> _Ended:
        values: dict[str, float] = {}
        seconds: dict[str, float] = {}
        attempts = 1
        for number, stage in enumerate(self._orders[share]):
            if number and self._problem.violation(values) > 0:
                return values, seconds, _CANCELLED, "", attempts
            for name, worker in stage:
                for tries in range(1, self._max_attempts + 1):
                    reading = worker.measure(architecture, share)
                    attempts = max(attempts, tries)
                    if not reading.error:
                        break
                else:
                    failure = _failure(name, reading.error, tries)
                    return values, seconds, _FAILED, failure, attempts
                values.update(zip(self._names[name], reading.values, strict=True))
                seconds[name] = reading.seconds
                if reading.files and self._keep_files is not None:
                    self._keep_files(architecture.key, name, reading.files)
        return values, seconds, _OK, "", attempts

    def _records(self, candidates: Sequence[Architecture], ended: Sequence[_Ended]) -> Records:
        if not ended:
            return Records.of([], len(self._problem.space.genes))
        values, seconds, status, errors, attempts = zip(*ended, strict=True)
        num = len(ended)
        return Records.filled(
            np.array([a.key for a in candidates], dtype=np.bytes_),
            np.array([a.choices for a in candidates], dtype=np.int16),
            values=_by_name(values, self._problem.measured_names),
            seconds=_by_name(seconds, self._problem.measurements),
            status=np.array(status, dtype=np.int8),
            errors=texts(errors),
            attempts=np.array(attempts, dtype=np.int32),
            workers=texts([self._worker] * num),
            digests=texts([self._weights_digest] * num),
        )


def _by_name(rows: Sequence[Mapping[str, float]], names: Iterable[str]) -> dict[str, Floats]:
    """(n,) values by name, NaN where a row has none."""
    return {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
