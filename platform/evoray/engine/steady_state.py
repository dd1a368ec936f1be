"""The search loop without barriers: a finished candidate is replaced at once, so that nobody waits
for the slowest.

The ledger is the log of events. Records are told strictly in its order, one at a time, so that a
resumed search replays it and stands where it was: the same completion order gives the same front.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from evoray.engine.loop import SearchLoop
from evoray.engine.proposals import Proposals
from evoray.engine.schedule import Progress, Schedule
from evoray.engine.shard import ShardGroup
from evoray.evaluation.evaluator import Evaluator
from evoray.files.storage import Location
from evoray.problem.problem import Problem
from evoray.records.columns import texts
from evoray.records.ledger import Ledger
from evoray.records.records import Records
from evoray.searchers.base import Lineage
from searchspaces.base import Keys, key_array

_KNOWN_IN_A_ROW = (
    50  # proposals of one shard that turn out to be known already: it has nothing new to offer now
)


class SteadySearch(SearchLoop):
    """A search that replays the ledger, which stands for all that happened, and goes on."""

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
        self._cursor = 0  # ledger rows that were told
        self._told = _Digest()
        # shards that proposed a network whose record was not told yet
        self._interested: dict[bytes, list[int]] = {}

    def _evaluate_all(self) -> None:
        if self._cursor == 0 and not self._interested:
            for shard, count in enumerate(self._initial_shares()):
                self._admit(shard, self._call(shard, "propose", count))
        while self._interested:
            if self._cursor < len(self._ledger):
                self._tell_next()
                continue
            assert self._bookkeeping.waiting, "shards wait for networks that nobody measures"
            self._collect()

    @property
    def _generation(self) -> int:
        return self._cursor // (self._schedule.population * self._shards.num_shards)

    def _initial_shares(self) -> list[int]:
        num = self._shards.num_shards
        flying = min(
            self._schedule.in_flight or self._schedule.population * num, self._schedule.evaluations
        )
        return [flying // num + (index < flying % num) for index in range(num)]

    def _call(
        self, shard: int, method: str, *arguments: Any
    ) -> Any:  # Any: what the shard's method takes and returns
        skipped: list[tuple[Any, ...] | None] = [None] * self._shards.num_shards
        skipped[shard] = arguments
        return self._shards.call(method, skipped)[shard]

    def _admit(self, shard: int, proposals: Proposals) -> None:
        """Sends new candidates off; tells the shard at once what is known of the others, and asks
        it for as many more.
        """
        for _ in range(_KNOWN_IN_A_ROW):
            new = self._bookkeeping.admit(proposals, self._generation)
            self._dispatch(new)
            rows = self._ledger.rows(proposals.keys)
            told = (rows >= 0) & (rows < self._cursor)
            for key in proposals.keys[~told].tolist():
                self._interested.setdefault(key, []).append(shard)
            left = self._schedule.evaluations - self._bookkeeping.num_counted
            if not told.any():
                return
            proposals = self._call(
                shard, "exchange", self._ledger.take(rows[told]), min(int(told.sum()), left)
            )

    def _tell_next(self) -> None:
        before = self._generation
        record = self._ledger.take(np.array([self._cursor]))
        self._cursor += 1
        self._told.add(record.keys)
        for shard in self._interested.pop(record.keys[0], []):
            left = self._schedule.evaluations - self._bookkeeping.num_counted
            self._admit(shard, self._call(shard, "exchange", record, min(1, left)))
        if self._generation > before:
            self._end_generation()

    def _about(self) -> dict[str, Any]:
        flying = (
            Proposals.concat(
                [batch.take(np.array([row])) for batch, row in self._bookkeeping.waiting.values()]
            )
            if self._bookkeeping.waiting
            else None
        )
        return {
            "told": self._cursor,
            "told_digest": self._told.text,
            "interested": {key.decode(): shards for key, shards in self._interested.items()},
            "waiting": None if flying is None else _as_json(flying),
        }

    def _take(self, snapshot: Mapping[str, Any]) -> None:
        """A snapshot fits when the ledger begins with what it was told, and holds or waits for the
        rest; else all is replayed.
        """
        told, known = int(snapshot["told"]), int(snapshot["statistics"]["known"])
        if told > len(self._ledger):
            raise ValueError(f"it knows {told} evaluations, the ledger holds {len(self._ledger)}")
        recorded = self._ledger.take(np.arange(len(self._ledger)))
        digest = _Digest()
        digest.add(recorded.keys[:told])
        if digest.text != snapshot["told_digest"]:
            raise ValueError(
                f"the first {told} evaluations of the ledger are not those that it knows"
            )
        waiting = None if snapshot["waiting"] is None else self._from_json(snapshot["waiting"])
        interested = {key.encode(): list(shards) for key, shards in snapshot["interested"].items()}
        flying = set() if waiting is None else set(waiting.keys.tolist())
        missing = interested.keys() - flying - set(recorded.keys[told:].tolist())
        if missing:
            raise ValueError(
                f"{len(missing)} evaluations that had ended before it was written are not in the "
                "ledger"
            )
        if waiting is not None:
            waiting = waiting.take(np.flatnonzero(self._ledger.rows(waiting.keys) < 0))
        ended = recorded.take(
            np.array(
                [row < told or key in interested for row, key in enumerate(recorded.keys.tolist())],
                dtype=bool,
            )
        )
        self._cursor, self._interested, self._told = told, interested, digest
        self._bookkeeping.resume(ended, waiting, known)
        self._front.add(recorded)
        if waiting is not None and len(waiting):
            self._evaluator.submit(waiting.architectures(self._problem.space.name))

    def _from_json(self, state: Mapping[str, Any]) -> Proposals:
        choices = np.array(state["choices"], dtype=np.int16).reshape(
            -1, len(self._problem.space.genes)
        )
        parents = np.array(state["parents"], dtype=np.bytes_).reshape(
            len(choices), -1 if len(choices) else 0
        )
        lineage = Lineage(texts(state["operators"]), parents)
        keys = key_array(self._problem.space, choices)
        return Proposals(
            choices,
            keys,
            self._problem.cost_values(choices),
            lineage,
            np.array(state["shards"], dtype=np.int32),
        )


class _Digest:
    """Digest of keys in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def add(self, keys: Keys) -> None:
        self._hash.update(b"".join(key + b"\n" for key in keys.tolist()))

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


def _as_json(proposals: Proposals) -> dict[str, Any]:
    return {
        "choices": proposals.choices.tolist(),
        "operators": proposals.lineage.operators.tolist(),
        "parents": proposals.lineage.parents.astype("U").tolist(),
        "shards": proposals.shards.tolist(),
    }
