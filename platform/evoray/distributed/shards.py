"""Population shards as Ray actors; one that dies is rebuilt from its last barrier and does its work
again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from evoray.engine.shard import Shard
from evoray.problem.problem import Problem
from evoray.searchers.base import Searcher

_log = logging.getLogger(__name__)
_MAX_REBUILDS = 5  # of one shard within one generation
_CALL_SECONDS = 600.0


class RayShards:
    """The shards of a search, one actor each; they take no core of their own because they think
    while the objectives wait.

    Between two calls of "state" each call is remembered, so that a rebuilt shard repeats them and
    stands where the lost one stood.
    """

    def __init__(self, problem: Problem, searchers: Sequence[Searcher]) -> None:
        self._problem = ray.put(problem.without_objectives())  # a shard measures nothing
        self._searchers = list(searchers)
        num_shards = len(self._searchers)
        self._actors: list[Any] = [self._build(index) for index in range(num_shards)]
        self._states: list[Any] = [None] * num_shards
        self._done: list[list[tuple[str, tuple[Any, ...]]]] = [[] for _ in range(num_shards)]

    @property
    def num_shards(self) -> int:
        return len(self._actors)

    def call(self, method: str, arguments: Sequence[tuple[Any, ...] | None]) -> list[Any]:
        """Calls a method on all shards at once; otherwise as `ShardGroup.call`.

        Raises:
            RuntimeError: A shard died again and again.
        """
        called = [(index, args) for index, args in enumerate(arguments) if args is not None]
        refs = [getattr(self._actors[index], method).remote(*args) for index, args in called]
        results: list[Any] = [None] * len(self._actors)
        for (index, args), ref in zip(called, refs, strict=True):
            results[index] = result = self._result(index, ref, method, args)
            if method == "state":
                self._states[index], self._done[index] = result, []
            else:
                self._done[index].append((method, args))
        return results

    def close(self) -> None:
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def _build(self, index: int) -> Any:
        actor_class: Any = ray.remote(Shard)
        return actor_class.options(num_cpus=0).remote(self._problem, self._searchers[index], index)

    def _result(self, index: int, ref: Any, method: str, args: tuple[Any, ...]) -> Any:
        for _ in range(_MAX_REBUILDS):
            try:
                return ray.get(ref, timeout=_CALL_SECONDS)
            except (
                RayTaskError,
                GetTimeoutError,
                # what the shard raised, or its searcher takes for ever: neither is mended by
                # another
                # try
            ):
                raise
            except RayError as error:  # died, killed for the node's memory, lost with its node
                _log.warning(
                    "population shard %d died (%s): it is rebuilt from its last state",
                    index,
                    str(error).splitlines()[0],
                )
                ref = self._rebuild(index, method, args)
        raise RuntimeError(
            f"population shard {index} died {_MAX_REBUILDS} times in one generation: see the "
            "worker logs of the cluster"
        )

    def _rebuild(self, index: int, method: str, args: tuple[Any, ...]) -> Any:
        actor = self._actors[index] = self._build(index)
        if self._states[index] is not None:
            actor.restore.remote(self._states[index])
        for done_method, done_args in self._done[index]:
            getattr(actor, done_method).remote(*done_args)
        return getattr(actor, method).remote(*args)
