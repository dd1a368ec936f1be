"""The Ray evaluator: a pool of bench actors for each objective, on the resources that the objective
needs.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import ray

from evoray.distributed.evaluation.pool import Measured, Pool, PoolOptions
from evoray.evaluation.evaluator import Attempt, KeepFiles, stages
from evoray.evaluation.subjects import separable, subject
from evoray.evaluation.worker import EvaluationWorker, Weights
from evoray.problem.problem import Problem
from evoray.records.records import Record
from objectives.base import Measurable, Needs
from searchspaces.base import Architecture

_log = logging.getLogger(__name__)
_CHECK_SECONDS = 0.1  # between two looks at deadlines and idle actors


class RayEvaluator:
    """Measures candidates on actors, several in one call when they are quick.

    A supernet's weights reach each node once through the object store and are read in place.
    """

    def __init__(
        self,
        problem: Problem,
        weights: Weights | None = None,
        *,
        weights_digest: str = "",
        options: PoolOptions | None = None,
        keep_files: KeepFiles | None = None,
    ) -> None:
        """`keep_files` is given what objectives leave of a candidate, before its record ends; None
        drops it.
        """
        self._problem = problem
        self._keep_files = keep_files
        self._orders: dict[float, list[list[str]]] = {}  # by share
        self._options = options or PoolOptions()
        self._digest = weights_digest
        self._attempts: dict[str, Attempt] = {}
        self._finished: list[Record] = []
        self._next_check = 0.0
        stored = self._stored = None if weights is None else ray.put(dict(weights))
        counts = self._options.workers_of or {}
        workers = {o.name: counts.get(o.name, self._options.workers) for o in problem.measured}
        self._needs = {o.name: o.needs for o in problem.measured}
        if self._options.is_fixed:
            self._needs = fitting(self._needs, workers, ray.cluster_resources())
        self._pools = {
            o.name: Pool(
                o.name,
                len(problem.names_of(o.name)),
                workers[o.name],
                o.needs,
                partial(_start, problem, o, self._needs[o.name], stored),
                self._options,
                _subject_of(problem, o),
            )
            for o in problem.measured
        }

    def renew(self, problem: Problem, weights: Weights, *, weights_digest: str) -> None:
        """Goes on with weights that were trained further, on the same actors; `problem` has the
        same objectives, perhaps another space.

        Raises:
            RuntimeError: Candidates are being measured.
        """
        if self._attempts:
            raise RuntimeError(
                f"{len(self._attempts)} candidates are being measured on the old weights: collect "
                "them first"
            )
        self._problem, self._digest, self._orders = problem, weights_digest, {}
        stored = self._stored = ray.put(
            dict(weights)
        )  # the reference keeps the weights where actors that start later find them
        for objective in problem.measured:
            start = partial(_start, problem, objective, self._needs[objective.name], stored)
            self._pools[objective.name].renew(
                start, problem.space, stored, _subject_of(problem, objective)
            )

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        order = self._orders.setdefault(share, stages(self._problem, share))
        attempts = [
            Attempt(
                self._problem,
                architecture,
                order,
                share=share,
                max_attempts=self._options.max_attempts,
                weights_digest=self._digest,
            )
            for architecture in architectures
        ]
        self._attempts.update({attempt.architecture.key: attempt for attempt in attempts})
        for name in order[0] if order else ():
            self._pools[name].push(attempts)
        if not order:
            for attempt in attempts:
                self._finish(attempt)
        self._dispatch()

    def collect(self, timeout: float) -> list[Record]:
        until = time.monotonic() + timeout
        while not self._finished and self._attempts:
            now = time.monotonic()
            if now >= self._next_check:
                self._check(now)
            self._wait(0.0 if self._finished else max(0.0, min(until - now, _CHECK_SECONDS)))
            if now >= until:
                break
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._attempts = {}

    def _check(self, now: float) -> None:
        """Stops what is late; pools start, release and steal."""
        self._next_check = now + _CHECK_SECONDS
        for pool in self._pools.values():
            self._take(pool, pool.stop_late())
        self._dispatch()

    def _wait(self, seconds: float) -> None:
        """Takes what ends first."""
        owners = {ref: pool for pool in self._pools.values() for ref in pool.refs}
        if not owners:
            time.sleep(min(seconds, 0.01))
            return
        ready, _ = ray.wait(list(owners), num_returns=1, timeout=seconds)
        for ref in ready:
            pool = owners[ref]
            self._take(pool, pool.take(ref))
            pool.dispatch()

    def _dispatch(self) -> None:
        for pool in self._pools.values():
            pool.dispatch()

    def _take(self, pool: Pool, measured: Iterable[Measured]) -> None:
        for attempt, reading, worker in measured:
            if pool.name not in attempt.waiting:  # its candidate has failed under another objective
                continue
            if reading.files and self._keep_files is not None:
                self._keep_files(attempt.architecture.key, pool.name, reading.files)
            if attempt.take(pool.name, reading, worker):
                pool.push_again(attempt)
            following = attempt.next_stage()
            for name in following:
                self._pools[name].push([attempt])
                self._pools[name].dispatch()
            if not attempt.waiting:
                self._finish(attempt)

    def _finish(self, attempt: Attempt) -> None:
        self._finished.append(attempt.record())
        del self._attempts[attempt.architecture.key]


def fitting(
    needs: Mapping[str, Needs], workers: Mapping[str, int], has: Mapping[str, float]
) -> dict[str, Needs]:
    """Needs of which all actors together find room on a machine that has so much: of what is short
    each gets the same share.

    Otherwise the actors that come last would wait for ever, and with them every candidate.

    Args:
        needs: Resources of one actor of each objective.
        workers: Actors of each objective.
        has: Ray's resources, by its names.
    """
    fitted = dict(needs)
    for resource, part in (("CPU", "cpus"), ("GPU", "gpus")):
        total = sum(getattr(need, part) * workers[name] for name, need in needs.items())
        there = has.get(resource, 0.0)
        if not 0.0 < there < total:
            continue
        _log.warning(
            "the actors of %s need %g %s together, and this machine has %g: they share them, so "
            "that measured times are noisier",
            ", ".join(needs),
            total,
            part,
            there,
        )
        for name, need in fitted.items():
            share = (
                math.floor(1e4 * getattr(need, part) * there / total) / 1e4
            )  # Ray counts in steps of 0.0001
            fitted[name] = dataclasses.replace(need, **{part: share})
    return fitted


def _subject_of(problem: Problem, objective: Measurable) -> Callable[[Architecture], str] | None:
    """Tells which candidates share the first half of a measurement; None where none do."""
    if separable(objective, problem.space) is None:
        return None
    return partial(subject, objective, problem.space)


def _start(
    problem: Problem, objective: Measurable, needs: Needs, weights: Any
) -> Any:  # Any: Ray's handles are untyped
    actor_class: Any = ray.remote(EvaluationWorker)
    return actor_class.options(
        num_cpus=needs.cpus,
        num_gpus=needs.gpus,
        memory=needs.memory or None,
        resources={needs.label: 1e-3} if needs.label else None,
        name=None,
    ).remote(problem.space, objective, weights, "cuda" if needs.gpus > 0 else "cpu")
