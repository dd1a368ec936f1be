"""The evaluator contract, and the local one that measures in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from evoray.bench import Bench, Measurement, Weights
from evoray.problem import Problem
from evoray.records import Record, Status
from searchspaces.base import Architecture

_BATCH_SECONDS = 0.05


class Evaluator(Protocol):
    """Measures candidates under every measured objective of a problem.

    Its records hold measured values only; costs, violations and lineage are the search's to add.
    """

    def submit(self, architectures: Sequence[Architecture]) -> None:
        """Queues candidates; a key must not be queued twice."""
        ...

    def collect(self, timeout: float) -> list[Record]:
        """Records finished by now; waits up to `timeout` seconds for the first. Empty when nothing ended in time."""
        ...

    def close(self) -> None:
        """Frees what it holds; what was queued is forgotten."""
        ...


def stages(problem: Problem) -> list[list[str]]:
    """The order of measuring: constrained objectives first, so that a broken constraint cancels the rest."""
    gates = {c.name for c in problem.measured_constraints}
    first = [name for name in problem.measured_names if name in gates]
    rest = [name for name in problem.measured_names if name not in gates]
    return [stage for stage in (first, rest) if stage]


class Attempt:
    """One candidate on its way through the stages; evaluators advance it, `record` is what came out.

    Attributes:
        architecture: What is measured.
        waiting: Objectives of the present stage that have no value yet.
    """

    def __init__(self, problem: Problem, architecture: Architecture, *, max_attempts: int, weights_digest: str) -> None:
        self.architecture = architecture
        self._problem = problem
        self._stages = stages(problem)
        self._max_attempts = max_attempts
        self._weights_digest = weights_digest
        self._values: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._tries: dict[str, int] = {}
        self._error = ""
        self._cancelled = False
        self._workers: list[str] = []
        self.waiting: list[str] = self._stages.pop(0) if self._stages else []

    def take(self, name: str, measurement: Measurement) -> bool:
        """Takes one objective's measurement; True when that objective has to be measured again."""
        self._tries[name] = self._tries.get(name, 0) + 1
        if measurement.worker and measurement.worker not in self._workers:
            self._workers.append(measurement.worker)
        if measurement.value is None:
            if self._tries[name] < self._max_attempts:
                return True
            tries = f" ({self._tries[name]} attempts)" if self._tries[name] > 1 else ""
            self._error = f"{name}: {measurement.error}{tries}"
            self.waiting, self._stages = [], []
            return False
        self._values[name] = measurement.value
        self._seconds[name] = measurement.seconds
        self.waiting = [n for n in self.waiting if n != name]
        return False

    def next_stage(self) -> list[str]:
        """When nothing is waiting: the objectives of the next stage, which are waiting now; empty when the candidate is done."""
        if not self.waiting and self._stages and not self._error:
            if self._problem.violation(self._values) > 0:
                self._cancelled, self._stages = True, []
            else:
                self.waiting = self._stages.pop(0)
                return self.waiting
        return []

    def record(self) -> Record:
        """The finished candidate."""
        status = Status.FAILED if self._error else Status.CANCELLED if self._cancelled else Status.OK
        return Record(
            key=self.architecture.key,
            choices=self.architecture.choices,
            values=self._values,
            seconds=self._seconds,
            status=status,
            error=self._error,
            attempts=max(self._tries.values(), default=1),
            worker=" ".join(self._workers),
            weights_digest=self._weights_digest,
        )


class LocalEvaluator:
    """Measures one candidate after the other in this process. It cannot stop an objective that never returns; the Ray one can."""

    def __init__(
        self, problem: Problem, weights: Weights | None = None, *, weights_digest: str = "", max_attempts: int = 1, device: str = "cpu"
    ) -> None:
        self._problem = problem
        self._weights_digest = weights_digest
        self._max_attempts = max_attempts
        threads = torch.get_num_threads()
        self._benches: Mapping[str, Bench] = {o.name: Bench(problem.space, o, weights, device) for o in problem.measured}
        torch.set_num_threads(threads)
        self._queue: deque[Architecture] = deque()

    def submit(self, architectures: Sequence[Architecture]) -> None:
        self._queue.extend(architectures)

    def collect(self, timeout: float) -> list[Record]:
        """One record however long it takes, and what else ends within a twentieth of a second, so that quick work is written in batches."""
        until = time.monotonic() + min(timeout, _BATCH_SECONDS)
        records: list[Record] = []
        while self._queue and (not records or time.monotonic() < until):
            records.append(self._evaluate(self._queue.popleft()))
        return records

    def close(self) -> None:
        self._queue.clear()

    def _evaluate(self, architecture: Architecture) -> Record:
        attempt = Attempt(self._problem, architecture, max_attempts=self._max_attempts, weights_digest=self._weights_digest)
        while attempt.waiting:
            name = attempt.waiting[0]
            attempt.take(name, self._benches[name].measure([architecture])[0])
            attempt.next_stage()
        return attempt.record()
