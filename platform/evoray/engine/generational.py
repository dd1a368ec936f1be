"""The generational search loop: ask, evaluate, write down, tell. The same seed gives the same front
on any number of workers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evoray.engine.bookkeeping import Bookkeeping, FrontCounter
from evoray.engine.schedule import Progress, Schedule
from evoray.engine.shard import Proposals, ShardGroup
from evoray.engine.snapshots import Snapshots
from evoray.evaluation.evaluator import Evaluator
from evoray.files.storage import Location
from evoray.problem.problem import Problem
from evoray.records.ledger import Ledger
from evoray.records.records import Records

_log = logging.getLogger(__name__)
# how long one wait for records may last, so that progress is shown and an interrupt is heard
COLLECT_SECONDS = 1.0
_EMPTY_GENERATIONS = 20  # without one new network: the space is exhausted


class Search:
    """One search over a ledger. `run()` starts it, or resumes it from the ledger and the last
    snapshot.
    """

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
        """`snapshots` is a folder for the shards' states; `reuse` holds records of another ledger
        that need not be measured again.

        `first_generation` is the number of the first one, in records. `spent` says of the records
        that count, at each barrier, whether a budget other than their number is used up.
        """
        self._problem = problem
        self._shards = shards
        self._evaluator = evaluator
        self._ledger = ledger
        self._schedule = schedule
        self._snapshots = Snapshots(snapshots)
        self._bookkeeping = Bookkeeping(problem, ledger, reuse)
        self._on_progress = on_progress
        self._spent = spent
        self._front = FrontCounter(problem)
        self._generation = first_generation

    def run(self) -> None:
        """Evaluates until the budget is spent or the space is exhausted.

        Raises:
            RuntimeError: Every candidate failed, or an objective was never measured.
            OSError: The ledger could not be written; what was written before is safe.
        """
        self._snapshots.restore(self._shards, self._take)
        empty = 0
        while (
            self._bookkeeping.num_counted < self._schedule.evaluations
            and empty < _EMPTY_GENERATIONS
            and not self._is_spent()
        ):
            before = self._bookkeeping.num_counted
            proposals: list[Proposals] = self._shards.call(
                "propose", [(n,) for n in self._shares()]
            )
            if not any(map(len, proposals)):
                break
            self._shards.call("tell", [(records,) for records in self._evaluate(proposals)])
            self._generation += 1
            self._migrate()
            if self._snapshots.is_due:
                self._save()
            empty = empty + 1 if self._bookkeeping.num_counted == before else 0
        self._save()
        if self._bookkeeping.num_counted < self._schedule.evaluations and not self._is_spent():
            _log.warning(
                "the searcher found no new networks after %d of %d evaluations",
                self._bookkeeping.num_counted,
                self._schedule.evaluations,
            )
        self._bookkeeping.check_measured()

    def _is_spent(self) -> bool:
        return self._spent is not None and self._spent(self._bookkeeping.counted())

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
        if len(new) and not self._problem.measured:
            records = self._bookkeeping.finish_unmeasured(new, self._generation)
            self._report(records)
            if new is proposals and len(of_shards) == 1:
                return [records]
        elif len(new):
            self._evaluator.submit(new.architectures(self._problem.space.name))
        while self._bookkeeping.waiting:
            measured = self._evaluator.collect(COLLECT_SECONDS)
            if measured:
                self._report(self._bookkeeping.finish(Records.of(measured), self._generation))
        return [self._bookkeeping.records(of_shard.keys) for of_shard in of_shards]

    def _migrate(self) -> None:
        migrate(self._shards, self._schedule, self._bookkeeping, self._generation)

    def _save(self) -> None:
        about = {
            "generation": self._generation,
            "evaluations": self._bookkeeping.num_counted,
            "statistics": {"known": self._bookkeeping.num_known},
        }
        self._snapshots.save(self._shards, self._generation, about)

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
        self._generation = generation
        self._bookkeeping.resume(ended, None, known)
        self._front.add(ended)

    def _report(self, latest: Records) -> None:
        if self._on_progress is not None:
            self._front.add(latest)
            self._on_progress(
                Progress(
                    self._generation,
                    self._bookkeeping.num_ended,
                    self._bookkeeping.num_failed,
                    len(self._front),
                )
            )


def migrate(
    shards: ShardGroup, schedule: Schedule, bookkeeping: Bookkeeping, generation: int
) -> None:
    """Lets the shards exchange candidates when that is due."""
    how = schedule.migration
    if not how.is_due(generation, shards.num_shards):
        return
    sent = shards.call("migrants", [(how.num_migrants, how.select)] * shards.num_shards)
    arriving: Sequence[Records] = [
        bookkeeping.records(np.unique(np.concatenate([sent[sender] for sender in senders])))
        for senders in how.senders(shards.num_shards)
    ]
    shards.call("tell", [(records,) for records in arriving])
