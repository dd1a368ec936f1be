"""Bookkeeping: what a search knows already, what it must have measured, and what becomes of it.
Each network is measured once.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from evoray.engine.proposals import Proposals
from evoray.pareto import dominance
from evoray.problem.problem import Losses, Problem
from evoray.records.ledger import Ledger
from evoray.records.recordable_text import recordable_texts
from evoray.records.records import Records
from searchspaces.base import Keys

_HOPELESS_FAILURES = 8  # failures without one success: the program is wrong, not the candidates


class Bookkeeping:
    """Stands between proposals and the ledger.

    Attributes:
        waiting: Networks on their way through the evaluator, by key: the proposals they came with
            and their row there.
        num_known: Proposals that were answered from what was known.
        num_failed: Failed records that count.
    """

    def __init__(self, problem: Problem, ledger: Ledger, reuse: Records | None = None) -> None:
        self._problem = problem
        self._ledger = ledger
        self._reuse = reuse
        self._reuse_rows = (
            {} if reuse is None else {key: row for row, key in enumerate(reuse.keys.tolist())}
        )
        self._counted: set[bytes] = set()
        self.waiting: dict[bytes, tuple[Proposals, int]] = {}
        self.num_known = 0
        self.num_failed = 0

    @property
    def num_counted(self) -> int:
        """Distinct networks that were proposed, and so count towards the budget."""
        return len(self._counted)

    @property
    def num_ended(self) -> int:
        """Number of the networks asked for that have a record."""
        return len(self._counted) - len(self.waiting)

    def admit(self, proposals: Proposals, generation: int) -> Proposals:
        """Counts the proposals; returns those that nobody has measured and nobody is measuring,
        each network once.
        """
        keys = proposals.keys.tolist()
        if self._all_new(keys):
            self._counted.update(keys)
            self.waiting.update(
                zip(
                    keys,
                    zip(itertools.repeat(proposals), range(len(keys)), strict=False),
                    strict=True,
                )
            )
            return proposals
        rows = self._ledger.rows(proposals.keys).tolist()
        new: list[int] = []
        reused: list[int] = []
        for i, (key, row) in enumerate(zip(keys, rows, strict=True)):
            if key in self._counted:
                self.num_known += 1
            elif row < 0 and key in self._reuse_rows:
                reused.append(i)
            elif row < 0:
                new.append(i)
                self.waiting[key] = (proposals, i)
            self._counted.add(key)
        if reused:
            known = proposals.take(np.array(reused))
            self._write(known, self._reuse_of(known.keys), generation)
        return proposals.take(np.array(new, dtype=np.int64)) if len(new) < len(keys) else proposals

    def finish(self, measured: Records, generation: int) -> Records:
        """Adds costs, violations and lineage to what the evaluator returned and writes it down."""
        places = [self.waiting[key] for key in measured.keys.tolist()]
        together = bool(places) and all(batch is places[0][0] for batch, _ in places)
        if together:
            of = places[0][0].take(np.array([row for _, row in places]))
        else:
            of = Proposals.concat([batch.take(np.array([row])) for batch, row in places])
        records = self._write(of, measured, generation)
        for key in measured.keys.tolist():
            del self.waiting[key]
        self._check_hope(records)
        return records

    def finish_unmeasured(self, proposals: Proposals, generation: int) -> Records:
        """The same for a problem without measured objectives: the costs are all there is to
        know.
        """
        num = len(proposals)
        bare = Records.filled(proposals.keys, proposals.choices)
        records = self._write(proposals, bare, generation)
        if len(self.waiting) == num:
            self.waiting.clear()
        for key in proposals.keys.tolist() if self.waiting else ():
            del self.waiting[key]
        return records

    def records(self, keys: Keys) -> Records:
        """Records of networks that have one."""
        return self._ledger.take(self._ledger.rows(keys))

    def counted(self) -> Records:
        """Records that count towards the budget, in the ledger's order."""
        rows = (
            self._ledger.rows(np.array(sorted(self._counted), dtype=np.bytes_))
            if self._counted
            else np.zeros(0, dtype=np.int64)
        )
        return self._ledger.take(np.sort(rows[rows >= 0]))

    def resume(self, ended: Records, waiting: Proposals | None, num_known: int) -> None:
        """Goes back to where these had ended and those were waiting."""
        self._counted = set(ended.keys.tolist())
        self.waiting = {}
        if waiting is not None:
            self._counted.update(waiting.keys.tolist())
            self.waiting = {key: (waiting, row) for row, key in enumerate(waiting.keys.tolist())}
        self.num_known = num_known
        self.num_failed = int(ended.failed.sum())

    def check_measured(self) -> None:
        """An objective that nothing was measured under means that the search was about something
        else.

        Raises:
            RuntimeError: There is one.
        """
        records = self._ledger.take(np.arange(len(self._ledger)))
        missing = [
            name
            for name in self._problem.value_names
            if name not in records.values or np.isnan(records.values[name]).all()
        ]
        if missing and len(records):
            errors = sorted(set(records.errors[records.failed].tolist()))[:3]
            unmet = " and ".join(map(str, self._problem.measured_constraints))
            why = f"errors: {'; '.join(errors)}" if errors else f"no candidate met {unmet}"
            raise RuntimeError(
                f"{', '.join(missing)} was never measured in {len(records)} evaluations: {why}"
            )

    def _all_new(self, keys: list[bytes]) -> bool:
        """The common case, settled without a look at each key: nothing is known but what was
        counted, and none of these was.
        """
        nothing_else = not self._reuse_rows and len(self._ledger) == self.num_ended
        return nothing_else and len(set(keys)) == len(keys) and self._counted.isdisjoint(keys)

    def _reuse_of(self, keys: Keys) -> Records:
        assert self._reuse is not None
        return self._reuse.take(np.array([self._reuse_rows[key] for key in keys.tolist()]))

    def _write(self, proposals: Proposals, measured: Records, generation: int) -> Records:
        values = {**measured.values, **proposals.costs}
        records = replace(
            measured,
            values=values,
            violations=self._problem.violations(values),
            errors=recordable_texts(measured.errors),
            shards=proposals.shards,
            generations=np.full(len(proposals), generation, dtype=np.int32),
            parents=proposals.lineage.parents,
            operators=proposals.lineage.operators,
            workers=recordable_texts(measured.workers),
        )
        self._ledger.append(records)
        self.num_failed += int(records.failed.sum())
        return records

    def _check_hope(self, latest: Records) -> None:
        if latest.failed.all() and len(self._ledger) >= _HOPELESS_FAILURES:
            records = self._ledger.take(np.arange(len(self._ledger)))
            if records.failed.all():
                raise RuntimeError(
                    f"the first {len(records)} candidates all failed; the last one, "
                    f"{records[-1].key}, with: {records[-1].error}"
                )


class FrontCounter:
    """The losses of the front so far, kept up to date a batch at a time."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._front: Losses = np.zeros((0, len(problem.targets)))

    def add(self, records: Records) -> None:
        losses, violations = self._problem.losses(records)
        both = np.concatenate([self._front, losses[violations <= 0]])
        self._front = both[dominance.front(both)]

    def __len__(self) -> int:
        return len(self._front)
