"""The generational search loop: ask, evaluate, write down, tell. The same seed gives the same front
on any number of workers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evoray.engine.loop import SearchLoop
from evoray.engine.proposals import Proposals
from evoray.engine.schedule import Progress, Schedule
from evoray.engine.shard import ShardGroup
from evoray.evaluation.evaluator import Evaluator
from evoray.files.storage import Location
from evoray.problem.problem import Problem
from evoray.records.ledger import Ledger
from evoray.records.records import Records

_EMPTY_GENERATIONS = 20  # without one new network: the space is exhausted


class Search(SearchLoop):
    """A search whose shards propose a generation each, and are told when all of it has ended."""

    def __init__(
        self,
        problem: Problem,
        shards: ShardGroup,
        evaluator: Evaluator,
        ledger: Ledger,
        schedule: Schedule,
        *,
        snapshots: Location | None = None,
        reuse: Records | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        first_generation: int = 0,
        spent: Callable[[Records], bool] | None = None,
    ) -> None:
        """`first_generation` is the number of the first one, in records. `spent` says of the
        records that count, at each barrier, whether a budget other than their number is used up.
        """
        super().__init__(
            problem,
            shards,
            evaluator,
            ledger,
            schedule,
            snapshots=snapshots,
            reuse=reuse,
            on_progress=on_progress,
        )
        self._spent = spent
        self._number = first_generation

    @property
    def _generation(self) -> int:
        return self._number

    def _evaluate_all(self) -> None:
        empty = 0
        while empty < _EMPTY_GENERATIONS and not self._is_spent():
            before = self._bookkeeping.num_counted
            proposals: list[Proposals] = self._shards.call(
                "propose", [(n,) for n in self._shares()]
            )
            if not any(map(len, proposals)):
                break
            self._shards.call("tell", [(records,) for records in self._evaluate(proposals)])
            self._number += 1
            self._end_generation()
            empty = empty + 1 if self._bookkeeping.num_counted == before else 0

    def _is_spent(self) -> bool:
        return super()._is_spent() or (
            self._spent is not None and self._spent(self._bookkeeping.counted())
        )

    def _shares(self) -> list[int]:
        left = self._schedule.evaluations - self._bookkeeping.num_counted
        shares = []
        for _ in range(self._shards.num_shards):
            shares.append(min(self._schedule.population, left))
            left -= shares[-1]
        return shares

    def _evaluate(self, of_shards: Sequence[Proposals]) -> list[Records]:
        """The records of every shard's proposals."""
        proposals = Proposals.concat(of_shards)
        new = self._bookkeeping.admit(proposals, self._generation)
        records = self._dispatch(new)
        if records is not None and new is proposals and len(of_shards) == 1:
            return [records]
        while self._bookkeeping.waiting:
            self._collect()
        return [self._bookkeeping.records(of_shard.keys) for of_shard in of_shards]

    def _about(self) -> dict[str, Any]:
        return {"generation": self._generation, "evaluations": self._bookkeeping.num_counted}

    def _take(self, snapshot: Mapping[str, Any]) -> None:
        """A snapshot fits when all records from before its barrier are in the ledger; else
        everything is replayed from the seed.
        """
        generation, known = int(snapshot["generation"]), int(snapshot["statistics"]["known"])
        every = self._ledger.take(np.arange(len(self._ledger)))
        ended = every.take(every.generations < generation)
        if len(ended) != snapshot["evaluations"]:
            raise ValueError(
                f"it knows {snapshot['evaluations']} evaluations, the ledger holds {len(ended)}"
            )
        self._number = generation
        self._bookkeeping.resume(ended, None, known)
        self._front.add(ended)
