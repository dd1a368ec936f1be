"""The evaluator contract, and the local one that measures in this process."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch

from evoray.bench import Bench, Weights
from evoray.problem import Problem
from evoray.records import Record, Status
from objectives.base import PartlyMeasurable
from searchspaces.base import Architecture

_BATCH_SECONDS = 0.05


class Evaluator(Protocol):
    """Measures candidates under every measured objective of a problem.

    Its records hold measured values only; costs, violations and lineage are the search's to add.
    """

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        """Queues candidates; a key must not be queued twice at a time.

        With a `share` below 1 only what can be measured on a part of its data is measured, on that share.
        """
        ...

    def collect(self, timeout: float) -> list[Record]:
        """Records finished by now; waits up to `timeout` seconds for the first. Empty when nothing ended in time."""
        ...

    def close(self) -> None:
        """Frees what it holds; what was queued is forgotten."""
        ...


def stages(problem: Problem, share: float = 1.0) -> list[list[str]]:
    """The order of measuring: constrained objectives first, so that a broken constraint cancels the rest.

    On a share of the data, only those that can be measured so.
    """
    if share < 1.0:
        partly = [o.name for o in problem.measured if isinstance(o, PartlyMeasurable)]
        return [partly] if partly else []
    gates = {c.name for c in problem.measured_constraints}
    first = [name for name in problem.measured_names if name in gates]
    rest = [name for name in problem.measured_names if name not in gates]
    return [stage for stage in (first, rest) if stage]


class Attempt:
    """One candidate on its way through the stages; evaluators advance it, `record` is what came out.

    Attributes:
        architecture: What is measured.
        share: On how much of the data.
        waiting: Objectives of the present stage that have no value yet.
        nodes_lost: How many nodes went down while they measured it.
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

    def take(self, name: str, value: float | None, seconds: float, error: str, worker: str) -> bool:
        """Takes one objective's measurement, None for a failed one; True when that objective has to be measured again."""
        self._tries[name] = self._tries.get(name, 0) + 1
        if worker and worker not in self._workers:
            self._workers.append(worker)
        if value is None:
            if self._tries[name] < self._max_attempts:
                return True
            tries = f" ({self._tries[name]} attempts)" if self._tries[name] > 1 else ""
            self._error = f"{name}: {error}{tries}"
            self.waiting, self._stages = [], []
            return False
        self._values[name] = value
        self._seconds[name] = seconds
        self.waiting.remove(name)
        return False

    def next_stage(self) -> list[str]:
        """When nothing is waiting: the objectives of the next stage, which are waiting now; empty when the candidate is done."""
        if not self.waiting and self._stages and not self._error:
            if self._problem.violation(self._values) > 0:
                self._cancelled, self._stages = True, []
            else:
                self.waiting = list(self._stages.pop(0))
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
            weights_digest=self._digest,
        )


class LocalEvaluator:
    """Measures one candidate after the other in this process. It cannot stop an objective that never returns; the Ray one can."""

    def __init__(
        self, problem: Problem, weights: Weights | None = None, *, weights_digest: str = "", max_attempts: int = 1, device: str = "cpu"
    ) -> None:
        self._problem = problem
        self._weights_digest = weights_digest
        self._max_attempts = max_attempts
        self._orders: dict[float, list[list[str]]] = {}  # by share
        threads = torch.get_num_threads()
        self._benches: Mapping[str, Bench] = {o.name: Bench(problem.space, o, weights, device) for o in problem.measured}
        torch.set_num_threads(threads)
        self._queue: deque[tuple[Architecture, float]] = deque()

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        self._queue.extend((architecture, share) for architecture in architectures)

    def collect(self, timeout: float) -> list[Record]:
        """One record however long it takes, and what else ends within a twentieth of a second, so that quick work is written in batches."""
        until = time.monotonic() + min(timeout, _BATCH_SECONDS)
        records: list[Record] = []
        while self._queue and (not records or time.monotonic() < until):
            records.append(self._evaluate(*self._queue.popleft()))
        return records

    def close(self) -> None:
        self._queue.clear()

    def _evaluate(self, architecture: Architecture, share: float) -> Record:
        attempt = Attempt(
            self._problem,
            architecture,
            self._orders.setdefault(share, stages(self._problem, share)),
            share=share,
            max_attempts=self._max_attempts,
            weights_digest=self._weights_digest,
        )
        while attempt.waiting:
            name = attempt.waiting[0]
            measured = self._benches[name].measure([architecture], share)[0]
            attempt.take(name, measured.value, measured.seconds, measured.error, measured.worker)
            attempt.next_stage()
        return attempt.record()
