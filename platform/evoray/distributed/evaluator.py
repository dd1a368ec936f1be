"""The Ray evaluator: a pool of bench actors for each objective, on the resources that the objective needs."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError

from evoray.bench import Bench, Measurement, Weights
from evoray.evaluator import Attempt
from evoray.problem import Problem
from evoray.records import Record
from objectives.base import Objective
from searchspaces.base import Architecture

_log = logging.getLogger(__name__)
_OPENING_SECONDS = 600.0  # an actor may wait this long for its resources, imports and data before it is started anew
_OPENING_ATTEMPTS = 3

Ref = Any  # Ray's handles are untyped


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """How objective actors are run.

    Attributes:
        workers: Actors of each objective.
        workers_of: Objectives with another number of actors, by name.
        timeout_seconds: A measurement that takes longer is stopped with its actor.
        max_attempts: How often one measurement is started before its candidate counts as failed.
    """

    workers: int = 1
    workers_of: Mapping[str, int] | None = None
    timeout_seconds: float = 120.0
    max_attempts: int = 2

    def __post_init__(self) -> None:
        counts = [self.workers, *(self.workers_of or {}).values()]
        if min(counts) < 1 or self.timeout_seconds <= 0 or self.max_attempts < 1:
            raise ValueError(f"objective workers and attempts must be at least 1 and the time-out positive, got {self}")


@dataclass
class _Call:
    """One call in flight; `key` is "" while the actor opens."""

    actor: Ref
    objective: str
    key: str
    deadline: float


class RayEvaluator:
    """Measures candidates on actors; one call in flight an actor, so that a time-out stops just the candidate that is late.

    A supernet's weights reach each node once through the object store and are read in place.
    """

    def __init__(
        self, problem: Problem, weights: Weights | None = None, *, weights_digest: str = "", options: PoolOptions | None = None
    ) -> None:
        self._problem = problem
        self._options = options or PoolOptions()
        self._digest = weights_digest
        self._weights = None if weights is None else ray.put(dict(weights))
        self._objectives: dict[str, Objective] = {o.name: o for o in problem.measured}
        self._queues: dict[str, deque[str]] = {name: deque() for name in self._objectives}
        self._idle: dict[str, list[Ref]] = {name: [] for name in self._objectives}
        self._calls: dict[Ref, _Call] = {}
        self._attempts: dict[str, Attempt] = {}
        self._finished: list[Record] = []
        self._failed_openings: dict[str, int] = dict.fromkeys(self._objectives, 0)
        for name in self._objectives:
            for _ in range((self._options.workers_of or {}).get(name, self._options.workers)):
                self._start(name)

    def submit(self, architectures: Sequence[Architecture]) -> None:
        for architecture in architectures:
            attempt = Attempt(self._problem, architecture, max_attempts=self._options.max_attempts, weights_digest=self._digest)
            self._attempts[architecture.key] = attempt
            self._enqueue(attempt, attempt.waiting)
            self._finish(attempt)
        self._dispatch()

    def collect(self, timeout: float) -> list[Record]:
        until = time.monotonic() + timeout
        while not self._finished and self._attempts:
            self._stop_late()
            self._dispatch()
            left = until - time.monotonic()
            if left <= 0:
                break
            # At most 0.2 s a wait, so that deadlines are kept.
            ready, _ = ray.wait(list(self._calls), num_returns=1, timeout=min(left, 0.2))
            if ready:
                done, _ = ray.wait(list(self._calls), num_returns=len(self._calls), timeout=0)
                for ref in done:
                    self._take(ref)
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        for actor in [c.actor for c in self._calls.values()] + [a for pool in self._idle.values() for a in pool]:
            ray.kill(actor)
        self._calls, self._attempts = {}, {}
        self._idle = {name: [] for name in self._objectives}

    def _start(self, name: str) -> None:
        objective = self._objectives[name]
        needs = objective.needs
        actor_class: Any = ray.remote(Bench)
        actor = actor_class.options(
            num_cpus=needs.cpus,
            num_gpus=needs.gpus,
            memory=needs.memory or None,
            resources={needs.label: 1e-3} if needs.label else None,
            name=None,
        ).remote(self._problem.space, objective, self._weights, "cuda" if needs.gpus > 0 else "cpu")
        self._calls[actor.ready.remote()] = _Call(actor, name, "", time.monotonic() + _OPENING_SECONDS)

    def _enqueue(self, attempt: Attempt, names: Sequence[str]) -> None:
        for name in names:
            self._queues[name].append(attempt.architecture.key)

    def _dispatch(self) -> None:
        for name, queue in self._queues.items():
            while queue and self._idle[name]:
                key = queue.popleft()
                attempt = self._attempts.get(key)
                if attempt is None or name not in attempt.waiting:  # another objective has failed for this candidate
                    continue
                actor = self._idle[name].pop()
                ref = actor.measure.remote([attempt.architecture])
                self._calls[ref] = _Call(actor, name, key, time.monotonic() + self._options.timeout_seconds)

    def _take(self, ref: Ref) -> None:
        call = self._calls.pop(ref)
        try:
            result = ray.get(ref)
        except RayActorError as error:
            self._lost(call, _reason(error))
            return
        except RayError as error:  # the call itself failed, such as a result that cannot be sent; the actor lives
            self._idle[call.objective].append(call.actor)
            self._measured(call, Measurement(call.key, None, 0.0, _reason(error), ""))
            return
        self._idle[call.objective].append(call.actor)
        if call.key:
            self._measured(call, result[0])
        else:
            self._failed_openings[call.objective] = 0

    def _lost(self, call: _Call, reason: str) -> None:
        """The actor is gone: replace it, and account for what it was doing."""
        if call.key:
            self._measured(call, Measurement(call.key, None, 0.0, f"its worker died: {reason}", ""))
        else:
            self._failed_openings[call.objective] += 1
            if self._failed_openings[call.objective] >= _OPENING_ATTEMPTS:
                raise RuntimeError(f"objective {call.objective!r} cannot be opened on a worker ({_OPENING_ATTEMPTS} attempts): {reason}")
        _log.warning("a worker of objective %s died and is replaced: %s", call.objective, reason)
        self._start(call.objective)

    def _stop_late(self) -> None:
        now = time.monotonic()
        for ref in [ref for ref, call in self._calls.items() if call.deadline < now]:
            call = self._calls.pop(ref)
            ray.kill(call.actor)
            if not call.key:
                self._lost(
                    call, f"it was not ready after {_OPENING_SECONDS:g} s; does the cluster have {self._objectives[call.objective].needs}?"
                )
                continue
            error = f"did not return within {self._options.timeout_seconds:g} s"
            self._measured(call, Measurement(call.key, None, self._options.timeout_seconds, error, ""))
            self._start(call.objective)

    def _measured(self, call: _Call, measurement: Measurement) -> None:
        attempt = self._attempts.get(call.key)
        if attempt is None or call.objective not in attempt.waiting:  # its candidate has failed under another objective
            return
        if attempt.take(call.objective, measurement):
            self._queues[call.objective].append(call.key)
        self._enqueue(attempt, attempt.next_stage())
        self._finish(attempt)

    def _finish(self, attempt: Attempt) -> None:
        if not attempt.waiting:
            self._finished.append(attempt.record())
            del self._attempts[attempt.architecture.key]


def _reason(error: BaseException) -> str:
    """One line of Ray's many: what the constructor raised stands in the last, what happened to an actor in the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if "creation task" in lines[0] else lines[0]
