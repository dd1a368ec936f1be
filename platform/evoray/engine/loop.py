"""The loop that all searches are: ask, evaluate, write down, tell; until the budget is spent or
nothing new is found. How candidates follow each other is a subclass's.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evoray.engine.bookkeeping import Bookkeeping, FrontCounter
from evoray.engine.proposals import Proposals
from evoray.engine.schedule import Progress, Schedule
from evoray.engine.shard import ShardGroup
from evoray.engine.snapshots import Snapshots
from evoray.evaluation.evaluator import Evaluator
from evoray.files.storage import Location
from evoray.problem.problem import Problem
from evoray.records.ledger import Ledger
from evoray.records.records import Records

_log = logging.getLogger(__name__)
# how long one wait for records may last, so that progress is shown and an interrupt is heard
_COLLECT_SECONDS = 1.0


class SearchLoop(ABC):
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
    ) -> None:
        """`snapshots` is a folder for the shards' states; `reuse` holds records of another ledger
        that need not be measured again.
        """
        self._problem = problem
        self._shards = shards
        self._evaluator = evaluator
        self._ledger = ledger
        self._schedule = schedule
        self._snapshots = Snapshots(snapshots)
        self._bookkeeping = Bookkeeping(problem, ledger, reuse)
        self._on_progress = on_progress
        self._front = FrontCounter(problem)

    def run(self) -> None:
        """Evaluates until the budget is spent or the space is exhausted.

        Raises:
            RuntimeError: Every candidate failed, or an objective was never measured.
            OSError: The ledger could not be written; what was written before is safe.
        """
        self._snapshots.restore(self._shards, self._take)
        self._evaluate_all()
        self._save()
        if not self._is_spent():
            _log.warning(
                "the searcher found no new networks after %d of %d evaluations",
                self._bookkeeping.num_counted,
                self._schedule.evaluations,
            )
        self._bookkeeping.check_measured()

    @property
    @abstractmethod
    def _generation(self) -> int:
        """The generation in which candidates are proposed now."""

    @abstractmethod
    def _evaluate_all(self) -> None:
        """Goes on from where the ledger and the snapshot stand to the end."""

    @abstractmethod
    def _about(self) -> dict[str, Any]:
        """Position of the search, as JSON, for a snapshot; `_take` reads it."""

    @abstractmethod
    def _take(self, snapshot: Mapping[str, Any]) -> None:
        """Goes on from a snapshot.

        Raises:
            ValueError: It does not fit the ledger; nothing has changed.
        """

    def _is_spent(self) -> bool:
        return self._bookkeeping.num_counted >= self._schedule.evaluations

    def _dispatch(self, new: Proposals) -> Records | None:
        """Sends new candidates off; returns their records where nothing is measured."""
        if len(new) and not self._problem.measured:
            records = self._bookkeeping.finish_unmeasured(new, self._generation)
            self._report(records)
            return records
        if len(new):
            self._evaluator.submit(new.architectures(self._problem.space.name))
        return None

    def _collect(self) -> None:
        """Waits a moment for measured candidates and writes them down."""
        measured = self._evaluator.collect(_COLLECT_SECONDS)
        if measured:
            self._report(self._bookkeeping.finish(Records.of(measured), self._generation))

    def _end_generation(self) -> None:
        """Lets the shards exchange candidates when that is due, and saves where they stand."""
        how = self._schedule.migration
        if how.is_due(self._generation, self._shards.num_shards):
            sent = self._shards.call(
                "migrants", [(how.num_migrants, how.select)] * self._shards.num_shards
            )
            arriving: Sequence[Records] = [
                self._bookkeeping.records(np.unique(np.concatenate([sent[s] for s in senders])))
                for senders in how.senders(self._shards.num_shards)
            ]
            self._shards.call("tell", [(records,) for records in arriving])
        if self._snapshots.is_due:
            self._save()

    def _save(self) -> None:
        statistics = {"statistics": {"known": self._bookkeeping.num_known}}
        self._snapshots.save(self._shards, self._generation, {**self._about(), **statistics})

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
