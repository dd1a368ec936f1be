"""The actors of one objective and the calls that they have been sent: which is running, until when
it may, and what is left of it when its actor goes.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray

from evoray.evaluation.evaluator import Attempt

_log = logging.getLogger(__name__)

Ref = Any  # Ray's handles are untyped


@dataclass(eq=False)
class Worker:
    """An actor and its calls in flight, the running one first."""

    actor: Ref
    calls: deque[Ref] = field(default_factory=deque)
    name: str = ""
    idle_since: float = math.inf

    @property
    def is_open(self) -> bool:
        return bool(self.name)


@dataclass(eq=False)
class Call:
    """Candidates on their way; none while the actor opens, or when they were taken back. The
    deadline is set when the call becomes its actor's first."""

    worker: Worker
    attempts: list[Attempt]
    deadline: float = math.inf
    first_since: float = math.inf


class Actors:
    """Starts, follows and ends the actors of one objective.

    Attributes:
        workers: Actors that are there.
        calls: Calls in flight.
    """

    def __init__(
        self,
        objective: str,
        start: Callable[[], Ref],
        allowed_seconds: Callable[[Call], float],
    ) -> None:
        """`start` starts an actor; `allowed_seconds` says how long a call may run."""
        self._objective = objective
        self._start = start
        self._allowed_seconds = allowed_seconds
        self.workers: list[Worker] = []
        self.calls: dict[Ref, Call] = {}

    def renew(self, start: Callable[[], Ref], space: Any, weights: Ref) -> None:
        """Actors go on with other weights, those that are started from now on begin with them.

        An actor takes its calls in order, so whatever it is sent after this it measures on the new
        weights. One that cannot take them has died, or fails what comes next, and is replaced like
        any other.
        """
        self._start = start
        for worker in self.workers:
            worker.actor.renew.remote(space, weights)

    def start_missing(self, wanted: int) -> None:
        """Starts actors until there are so many."""
        while len(self.workers) < wanted:
            worker = Worker(self._start())
            self.workers.append(worker)
            self.add(Call(worker, []), worker.actor.ready.remote())

    def add(self, call: Call, ref: Ref) -> None:
        """Follows a call that was sent."""
        self.calls[ref] = call
        call.worker.calls.append(ref)
        call.worker.idle_since = math.inf
        if len(call.worker.calls) == 1:
            self._begin(call)

    def forget(self, ref: Ref, call: Call) -> None:
        """Ends following a call; the next one of its actor begins."""
        del self.calls[ref]
        calls = call.worker.calls
        was_first = calls[0] is ref
        calls.remove(ref)
        if calls and was_first:
            self._begin(self.calls[calls[0]])
        if not calls:
            call.worker.idle_since = time.monotonic()

    def late(self, now: float) -> Mapping[Ref, Call]:
        """The calls that are past their deadline."""
        return {ref: call for ref, call in self.calls.items() if call.deadline < now}

    def replace(self, worker: Worker, reason: str) -> list[Call]:
        """Ends an actor, if it still lives, and starts one where none is left; returns the calls
        that it leaves.
        """
        _log.warning("a worker of objective %s is replaced: %s", self._objective, reason)
        ray.kill(worker.actor)
        self.workers.remove(worker)
        self.start_missing(1)
        return [self.calls.pop(ref) for ref in worker.calls]

    def release(self, idle_since: float) -> None:
        """Ends the actors that have had no work from before then."""
        for worker in [w for w in self.workers if w.idle_since < idle_since]:
            ray.kill(worker.actor)
            self.workers.remove(worker)

    def close(self) -> None:
        """Ends all of them."""
        for worker in self.workers:
            ray.kill(worker.actor)
        self.workers, self.calls = [], {}

    def _begin(self, call: Call) -> None:
        """The call is its actor's first now."""
        call.first_since = time.monotonic()
        call.deadline = call.first_since + self._allowed_seconds(call)
