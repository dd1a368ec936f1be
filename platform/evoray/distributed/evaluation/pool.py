"""A pool of actors for one objective: batches, time-outs, replacement of lost actors, stealing,
release when idle.
"""

from __future__ import annotations

import math
import re
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray
from ray.exceptions import ActorUnavailableError, RayError, RayTaskError, TaskCancelledError

from evoray.distributed.evaluation.actors import Actors, Call, Ref, Worker
from evoray.evaluation.evaluator import Attempt
from evoray.evaluation.worker import PackedReadings, Reading, unpacked
from objectives.base import Needs
from searchspaces.base import Architecture

# an actor may wait this long for its resources, imports and data before it is started anew
_OPENING_SECONDS = 600.0
_OPENING_ATTEMPTS = 3
_NODES_LOST = 5  # under one candidate; more, and the candidate is taken to be what brings them down
_BATCH_SECONDS = 0.1  # a call should last about so long: a hundred times what it costs
_LARGEST_BATCH = 1024
# calls shorter than this are sent two at a time, so that an actor never waits for the driver
_PIPELINED_SECONDS = 0.25
_EXHAUSTED = re.compile(
    r"MemoryError|OutOfMemory|can't allocate memory"
)  # of an objective; Python, NumPy, CUDA, torch
_REASON_LENGTH = 400  # of a record's error
_STEAL_SECONDS = 0.5  # a call that has waited behind another for so long is given to an idle actor

Measured = tuple[Attempt, Reading, str]  # candidate, its measurement, who measured it


@dataclass(frozen=True, kw_only=True)
class PoolOptions:
    """Options of the objective actors.

    Attributes:
        workers: Actors of each objective, at most.
        workers_of: Objectives with another number of actors, by name.
        batch_size: Candidates in one call; None for what lasts a tenth of a second.
        timeout_seconds: A measurement that takes longer is stopped with its actor.
        max_attempts: Times that one measurement is started before its candidate counts as failed.
        idle_seconds: Actors without work for so long are released; they are started again when
            there is work.
        is_fixed: True if the cluster never grows: actors that it cannot hold beside each other then
            share what it has, instead of waiting for a node that joins.
    """

    workers: int = 1
    workers_of: Mapping[str, int] | None = None
    batch_size: int | None = None
    timeout_seconds: float = 120.0
    max_attempts: int = 2
    idle_seconds: float = 300.0
    is_fixed: bool = False

    def __post_init__(self) -> None:
        counts = [self.workers, self.max_attempts, *(self.workers_of or {}).values()]
        if (
            min(counts) < 1
            or min(self.timeout_seconds, self.idle_seconds) <= 0
            or (self.batch_size is not None and self.batch_size < 1)
        ):
            raise ValueError(
                "objective workers, attempts and batch size must be at least 1 and the times "
                f"positive, got {self}"
            )


class Pool:
    """The actors of one objective.

    A batch whose actor died or was late is split: its candidates are measured again one by one, so
    that only the one which is to blame counts an attempt. A lost node is nobody's fault: its
    candidates are measured elsewhere. Everything that ends comes out of `take`.
    """

    def __init__(
        self,
        name: str,
        num_values: int,
        num_workers: int,
        needs: Needs,
        start: Callable[[], Ref],
        options: PoolOptions,
        subject_of: Callable[[Architecture], str] | None = None,
    ) -> None:
        """`subject_of` tells candidates that look alike to an objective in two halves: those that
        wait beside each other go to one actor, which infers once.
        """
        self.name = name
        self._num_values = num_values
        self._num_workers = num_workers
        self._needs = needs
        self._options = options
        self._subject_of = subject_of
        self._queue: deque[Attempt] = deque()
        self._suspects: deque[Attempt] = deque()
        self._seconds_each = math.nan  # moving average
        self._failed_openings = 0
        self._actors = Actors(name, start, self._allowed_seconds)
        self._actors.start_missing(num_workers)

    @property
    def refs(self) -> list[Ref]:
        """The calls in flight."""
        return list(self._actors.calls)

    def renew(
        self,
        start: Callable[[], Ref],
        space: Any,
        weights: Ref,
        subject_of: Callable[[Architecture], str] | None = None,
    ) -> None:
        """Goes on with other weights on the same actors; nothing may be waiting."""
        self._subject_of = subject_of
        self._actors.renew(start, space, weights)

    def push(self, attempts: Sequence[Attempt]) -> None:
        """Queues candidates, those that look alike beside each other."""
        if self._subject_of is not None:
            alike: dict[str, list[Attempt]] = {}
            for attempt in attempts:
                alike.setdefault(self._subject_of(attempt.architecture), []).append(attempt)
            attempts = [attempt for group in alike.values() for attempt in group]
        self._queue.extend(attempts)

    def push_again(self, attempt: Attempt) -> None:
        """Queues a candidate that failed: it will be measured alone."""
        self._suspects.append(attempt)

    def dispatch(self) -> None:
        """Sends what waits to actors that are free; starts actors that are missing, releases those
        that are idle.
        """
        now = time.monotonic()
        if self._queue or self._suspects:
            self._actors.start_missing(
                min(
                    self._num_workers,
                    len(self._queue) + len(self._suspects) + len(self._actors.calls),
                )
            )
            self._send(now)
        else:
            self._steal(now)
            self._actors.release(now - self._options.idle_seconds)

    def take(self, ref: Ref) -> Iterator[Measured]:
        """The measurements that a finished call brought.

        Raises:
            RuntimeError: No actor of the pool can be opened.
        """
        call = self._actors.calls.get(ref)
        if call is None:
            return
        try:
            result = ray.get(ref)
        except TaskCancelledError:
            self._actors.forget(ref, call)
            self._requeue([call])
        except (
            RayTaskError
        ) as error:  # the call itself failed, such as a result that cannot be sent; the actor lives
            self._actors.forget(ref, call)
            yield from self._blame(call, _reason(error), 0.0)
        # died, killed for the node's memory, lost with its node, cannot be placed anywhere
        except RayError as error:
            with_node = isinstance(error, ActorUnavailableError) or "node has died" in str(error)
            yield from self._lost(
                call.worker, f"its worker died: {_reason(error)}", 0.0, with_node=with_node
            )
        else:
            self._actors.forget(ref, call)
            if not call.worker.is_open:
                call.worker.name, self._failed_openings = result, 0
            elif call.attempts:
                yield from self._measured(call, result)

    def stop_late(self) -> Iterator[Measured]:
        """Kills the actors whose call is past its deadline; what they measured fails or is tried
        again.

        A call that has ended is never late, however long the driver was busy with other things.
        """
        now = time.monotonic()
        for ref, call in self._actors.late(now).items():
            if ray.wait([ref], timeout=0)[0]:
                yield from self.take(ref)
            elif call.worker.is_open:
                limit = self._options.timeout_seconds
                yield from self._lost(call.worker, f"did not return within {limit:g} s", limit)
            else:
                why = (
                    f"it was not ready after {_OPENING_SECONDS:g} s; does the cluster have "
                    f"{self._needs}?"
                )
                yield from self._lost(call.worker, why, 0.0)

    def close(self) -> None:
        self._actors.close()

    def _allowed_seconds(self, call: Call) -> float:
        """Seconds that a call may run: each of its candidates as long as is usual, one of them as
        long as is allowed.
        """
        if not call.worker.is_open:
            return _OPENING_SECONDS
        limit = self._options.timeout_seconds
        usual = limit if math.isnan(self._seconds_each) else min(limit, 10.0 * self._seconds_each)
        return limit + max(0, len(call.attempts) - 1) * usual

    def _send(self, now: float) -> None:
        for depth in (0, 1):
            for worker in self._actors.workers:
                if worker.is_open and len(worker.calls) == depth:
                    self._send_to(worker, depth)

    def _send_to(self, worker: Worker, depth: int) -> None:
        # each alone, so that it is clear who is to blame; actors run dry for them, or new ones
        # would put them off
        if self._suspects:
            batch = self._next(self._suspects, 1) if depth == 0 else []
        elif depth == 0 or self._batch_size() * self._seconds_each < _PIPELINED_SECONDS:
            batch = self._next(self._queue, self._batch_size())
            while 0 < len(batch) < _LARGEST_BATCH and self._continues(batch[-1]):
                batch += self._next(self._queue, 1)
        else:
            return
        if batch:
            rows = np.array([a.architecture.choices for a in batch], dtype="<i2").tobytes()
            whole = all(a.share == 1.0 for a in batch)
            shares = () if whole else (np.array([a.share for a in batch]).tobytes(),)
            self._actors.add(Call(worker, batch), worker.actor.measure_rows.remote(rows, *shares))

    def _next(self, queue: deque[Attempt], count: int) -> list[Attempt]:
        batch: list[Attempt] = []
        while queue and len(batch) < count:
            attempt = queue.popleft()
            if self.name in attempt.waiting:  # else another objective has failed for this candidate
                batch.append(attempt)
        return batch

    def _continues(self, attempt: Attempt) -> bool:
        """True where the next candidate in the queue looks like this one."""
        of = self._subject_of
        return (
            of is not None
            and bool(self._queue)
            and of(attempt.architecture) == of(self._queue[0].architecture)
        )

    def _batch_size(self) -> int:
        """The number that lasts `_BATCH_SECONDS`, but never more than half of a fair share of the
        queue, so that all actors end together.
        """
        if self._options.batch_size is not None:
            return self._options.batch_size
        if math.isnan(self._seconds_each):
            return 1
        fair = math.ceil(len(self._queue) / (2 * len(self._actors.workers)))
        return max(
            1, min(int(_BATCH_SECONDS / max(self._seconds_each, 1e-9)), fair, _LARGEST_BATCH)
        )

    def _steal(self, now: float) -> None:
        """Takes calls that wait behind a long one back and gives them to actors that are idle.

        Ray confirms a cancellation only when the actor comes to it, so that is not waited for.
        Should the call have begun in this very moment, what it brings is dropped.
        """
        idle = sum(not w.calls and w.is_open for w in self._actors.workers)
        for worker in self._actors.workers:
            if not idle or len(worker.calls) < 2:
                continue
            first, second = (self._actors.calls[ref] for ref in list(worker.calls)[:2])
            if now - first.first_since > _STEAL_SECONDS and second.attempts:
                ray.cancel(worker.calls[1])
                self._queue.extend(second.attempts)
                second.attempts = []
                idle -= 1
        self._send(now)

    def _measured(self, call: Call, result: PackedReadings) -> Iterator[Measured]:
        found = unpacked(result, self._num_values)
        mean = sum(reading.seconds for reading in found) / len(found)
        self._seconds_each = (
            mean if math.isnan(self._seconds_each) else 0.7 * self._seconds_each + 0.3 * mean
        )
        for attempt, reading in zip(call.attempts, found, strict=True):
            yield attempt, reading, call.worker.name
        exhausted = next((r.error for r in found if _EXHAUSTED.search(r.error)), "")
        if exhausted and call.worker in self._actors.workers:
            self._requeue(
                self._actors.replace(
                    call.worker,
                    f"its memory is exhausted, perhaps by what it measured before: {exhausted}",
                )
            )

    def _blame(self, call: Call, reason: str, seconds: float) -> Iterator[Measured]:
        """A single candidate is to blame; of several it is not known which, so each is tried
        alone.
        """
        if len(call.attempts) == 1:
            yield call.attempts[0], Reading((), seconds, reason), ""
        else:
            self._suspects.extend(call.attempts)

    def _lost(
        self, worker: Worker, reason: str, seconds: float, *, with_node: bool = False
    ) -> Iterator[Measured]:
        """The actor is gone, or has to go. Its first call is to blame, unless the whole node went,
        or the way to it.
        """
        calls = self._actors.replace(worker, reason)
        if not worker.is_open:
            self._failed_openings += not with_node
            if self._failed_openings >= _OPENING_ATTEMPTS and not any(
                w.is_open for w in self._actors.workers
            ):
                raise RuntimeError(
                    f"objective {self.name!r} cannot be opened on a worker ({_OPENING_ATTEMPTS} "
                    f"attempts): {reason}"
                )
            return
        first = calls[0]
        if with_node:
            for attempt in first.attempts:
                attempt.nodes_lost += 1
        if with_node and all(attempt.nodes_lost <= _NODES_LOST for attempt in first.attempts):
            self._requeue(calls)
        else:
            self._requeue(calls[1:])
            yield from self._blame(first, reason, seconds)

    def _requeue(self, calls: Sequence[Call]) -> None:
        for call in reversed(calls):
            self._queue.extendleft(reversed(call.attempts))


def _reason(error: BaseException) -> str:
    """One line of Ray's many: what the constructor raised stands in the last; why an actor died
    begins with the actor, but not the text.
    """
    lines: Sequence[str] = [line.strip() for line in str(error).splitlines() if line.strip()] or [
        type(error).__name__
    ]
    if "creation task" in lines[0]:
        return lines[-1]
    return next(
        (line for line in lines if re.match("The actor (died|is dead) because", line)), lines[0]
    )[:_REASON_LENGTH]
