"""The search loop: ask, evaluate, write down, tell. Generational; the same seed gives the same front on any number of workers."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evoray.evaluator import Evaluator
from evoray.ledger import Ledger
from evoray.problem import Problem
from evoray.records import Record, Status
from evoray.run_folder import write_json
from evoray.shard import Proposal, ShardGroup

_log = logging.getLogger(__name__)
_COLLECT_SECONDS = 1.0  # how long one wait for records may last, so that progress is shown and an interrupt is heard
_BARREN_GENERATIONS = 20  # without one new network: the space is exhausted
_HOPELESS_FAILURES = 8  # failures without one success: the program is wrong, not the candidates
_SNAPSHOTS_KEPT = 3


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long a search lasts and how its shards meet.

    Attributes:
        evaluations: Distinct networks to evaluate.
        population: Candidates that each shard proposes a generation.
        migrate_every: Generations between migrations along the ring of shards; 0 for never.
        num_migrants: Elites that each shard sends to the next one.
    """

    evaluations: int = 256
    population: int = 32
    migrate_every: int = 2
    num_migrants: int = 2

    def __post_init__(self) -> None:
        for name, least in (("evaluations", 1), ("population", 1), ("migrate_every", 0), ("num_migrants", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")


@dataclass(frozen=True)
class Progress:
    """Where a search stands.

    Attributes:
        generation: Complete generations.
        evaluations: Networks that count towards the budget.
        failed: Failed records among them.
        records: All records by key, in order of completion. Read only.
    """

    generation: int
    evaluations: int
    failed: int
    records: Mapping[str, Record]


class Search:
    """One search over a ledger. `run()` starts it, or resumes it from the ledger and the last snapshot."""

    def __init__(
        self,
        problem: Problem,
        shards: ShardGroup,
        evaluator: Evaluator,
        ledger: Ledger,
        schedule: Schedule,
        *,
        snapshots: Path | None = None,
        reuse: Mapping[str, Record] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """`snapshots` is a folder for the shards' states; `reuse` holds records of another ledger that need not be measured again."""
        self._problem = problem
        self._shards = shards
        self._evaluator = evaluator
        self._ledger = ledger
        self._schedule = schedule
        self._snapshots = snapshots
        self._reuse = reuse or {}
        self._on_progress = on_progress or (lambda progress: None)
        self._generation = 0
        self._counted: set[str] = set()
        self._num_known = 0
        self._num_failed = 0

    def run(self) -> None:
        """Evaluates until the budget is spent or the space is exhausted.

        Raises:
            RuntimeError: Every candidate failed, or an objective was never measured.
        """
        self._restore()
        barren = 0
        while len(self._counted) < self._schedule.evaluations and barren < _BARREN_GENERATIONS:
            before = len(self._counted)
            proposals = self._shards.call("propose", [(n,) for n in self._shares()])
            if not any(proposals):
                break
            records = self._evaluate([p for of_shard in proposals for p in of_shard])
            self._shards.call("tell", [([records[p.architecture.key] for p in of_shard],) for of_shard in proposals])
            self._generation += 1
            self._migrate()
            self._save()
            barren = barren + 1 if len(self._counted) == before else 0
        if len(self._counted) < self._schedule.evaluations:
            _log.warning("the searcher found no new networks after %d of %d evaluations", len(self._counted), self._schedule.evaluations)
        self._check_measured()

    def _shares(self) -> list[int]:
        left = self._schedule.evaluations - len(self._counted)
        shares = []
        for _ in range(self._shards.num_shards):
            shares.append(min(self._schedule.population, left))
            left -= shares[-1]
        return shares

    def _evaluate(self, proposals: Sequence[Proposal]) -> dict[str, Record]:
        """The record of every proposal; each network is measured once, whichever shards propose it."""
        waiting: dict[str, Proposal] = {}
        told = [self._finish(p, self._reuse[p.architecture.key]) for p in _distinct(proposals) if self._is_reusable(p)]
        self._ledger.append(told)
        for proposal in proposals:
            key = proposal.architecture.key
            if key in self._ledger.records or key in waiting:
                self._num_known += key in self._counted or key in waiting
                self._counted.add(key)
            else:
                waiting[key] = proposal
                self._counted.add(key)
        self._evaluator.submit([p.architecture for p in waiting.values()])
        while waiting:
            measured = self._evaluator.collect(_COLLECT_SECONDS)
            finished = [self._finish(waiting.pop(r.key), r) for r in measured]
            self._ledger.append(finished)
            self._num_failed += sum(r.status is Status.FAILED for r in finished)
            self._check_hope()
            self._report(len(waiting))
        return {p.architecture.key: self._ledger.records[p.architecture.key] for p in proposals}

    def _is_reusable(self, proposal: Proposal) -> bool:
        key = proposal.architecture.key
        return key in self._reuse and key not in self._ledger.records

    def _finish(self, proposal: Proposal, measured: Record) -> Record:
        values = {**measured.values, **proposal.costs}
        return dataclasses.replace(
            measured,
            values=values,
            violation=self._problem.violation(values),
            shard=proposal.shard,
            generation=self._generation,
            parents=proposal.lineage.parents,
            operator=proposal.lineage.operator,
        )

    def _migrate(self) -> None:
        num, every = self._shards.num_shards, self._schedule.migrate_every
        if num < 2 or every == 0 or self._generation % every or self._schedule.num_migrants == 0:
            return
        elites = self._shards.call("elites", [(self._schedule.num_migrants,)] * num)
        arriving = [[self._ledger.records[key] for key in elites[(index - 1) % num]] for index in range(num)]
        self._shards.call("tell", [(records,) for records in arriving])

    def _save(self) -> None:
        states = self._shards.call("state", [()] * self._shards.num_shards)
        if self._snapshots is None:
            return
        self._snapshots.mkdir(parents=True, exist_ok=True)
        snapshot = {
            "generation": self._generation,
            "evaluations": len(self._counted),
            "statistics": self._statistics(states),
            "shards": states,
        }
        write_json(self._snapshots / f"generation-{self._generation:06d}.json", snapshot)
        for old in sorted(self._snapshots.glob("generation-*.json"))[:-_SNAPSHOTS_KEPT]:
            old.unlink()

    def _statistics(self, states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        rejected: dict[str, int] = {}
        for state in states:
            for reason, count in state["rejected"].items():
                rejected[reason] = rejected.get(reason, 0) + count
        return {
            "proposed": sum(s["proposed"] for s in states),
            "duplicates": sum(s["duplicates"] for s in states),
            "rejected": rejected,
            "known": self._num_known,
        }

    def _restore(self) -> None:
        """Goes back to the newest barrier that is readable and whose records are all in the ledger.

        Without one everything is replayed from the ledger: only what is missing there is measured, and the results are the same.
        """
        fresh = self._shards.call("state", [()] * self._shards.num_shards)
        for file in sorted(self._snapshots.glob("generation-*.json"), reverse=True) if self._snapshots else ():
            try:
                self._restore_from(json.loads(file.read_text()))
            except (ValueError, KeyError, TypeError) as error:
                file.rename(file.with_name(f"damaged-{file.name}"))
                _log.warning("search state %s cannot be used (%s): it was set aside, an older one is used", file, error)
                self._shards.call("restore", [(state,) for state in fresh])
                continue
            return

    def _restore_from(self, snapshot: Mapping[str, Any]) -> None:
        generation, known = int(snapshot["generation"]), int(snapshot["statistics"]["known"])
        counted = [r for r in self._ledger.records.values() if r.generation < generation]
        if len(counted) != snapshot["evaluations"]:
            raise ValueError(f"it knows {snapshot['evaluations']} evaluations, the ledger holds {len(counted)}")
        self._shards.call("restore", [(state,) for state in snapshot["shards"]])
        self._generation, self._num_known = generation, known
        self._counted = {r.key for r in counted}
        self._num_failed = sum(r.status is Status.FAILED for r in counted)

    def _report(self, num_waiting: int) -> None:
        self._on_progress(Progress(self._generation, len(self._counted) - num_waiting, self._num_failed, self._ledger.records))

    def _check_hope(self) -> None:
        records = self._ledger.records.values()
        if len(records) >= _HOPELESS_FAILURES and all(r.status is Status.FAILED for r in records):
            last = list(records)[-1]
            raise RuntimeError(f"the first {len(records)} candidates all failed; the last one, {last.key}, with: {last.error}")

    def _check_measured(self) -> None:
        records = self._ledger.records.values()
        missing = [name for name in self._problem.value_names if not any(name in r.values for r in records)]
        if missing and records:
            errors = sorted({r.error for r in records if r.error})[:3]
            reason = (
                f"errors: {'; '.join(errors)}"
                if errors
                else f"no candidate met {' and '.join(map(str, self._problem.measured_constraints))}"
            )
            raise RuntimeError(f"{', '.join(missing)} was never measured in {len(records)} evaluations: {reason}")


def _distinct(proposals: Sequence[Proposal]) -> list[Proposal]:
    return list({p.architecture.key: p for p in reversed(proposals)}.values())[::-1]
