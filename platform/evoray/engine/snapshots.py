"""Snapshots: where a search stood at a barrier, so that resuming need not replay everything. Losing
one loses no evaluation.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from evoray.engine.shard import ShardGroup
from evoray.files.checksums import sealed_json, unsealed
from evoray.files.storage import Location, open_storage

_log = logging.getLogger(__name__)
_KEPT = 3
_SHARE = 0.05  # of a search's time that may go into snapshots


# why a searcher gave up a row before it proposed it
INFEASIBLE_NETWORK = "no refinement of it meets the constraints"


class Snapshots:
    """Files "generation-NNNNNN.json" in a folder; without a folder nothing is kept.

    Shards hand in their states all the same: those that are actors remember what they were told
    since the last time.
    """

    def __init__(self, location: Location | None) -> None:
        self._storage = None if location is None else open_storage(location)
        self._free_at = (
            0.0  # on the monotonic clock: before that, saving would take more than its share
        )

    @property
    def is_due(self) -> bool:
        """Returns True if saving now keeps within its share of the time."""
        return time.monotonic() >= self._free_at

    def save(
        self, shards: ShardGroup, number: int, about: Mapping[str, Any]
    ) -> None:  # Any: JSON, here and below
        """Writes the states of all shards with `about`, "statistics" among it completed; the oldest
        files go.
        """
        start = time.monotonic()
        states = shards.call("state", [()] * shards.num_shards)
        if self._storage is not None:
            whole = {
                **about,
                "statistics": {**about["statistics"], **_summed(states)},
                "shards": states,
            }
            text = sealed_json(whole)
            try:
                self._storage.write(f"generation-{number:06d}.json", pa.py_buffer(text.encode()))
                for old in self._storage.names("generation-")[:-_KEPT]:
                    self._storage.delete(old)
            except OSError as error:
                _log.warning(
                    "the search state could not be written to %s (%s): a resumed search will "
                    "replay more",
                    self._storage.location,
                    error,
                )
        cost = time.monotonic() - start
        self._free_at = start + cost / _SHARE

    def restore(self, shards: ShardGroup, take: Callable[[Mapping[str, Any]], None]) -> None:
        """Gives the newest usable snapshot to `take`, then its states to the shards; an unusable
        one is set aside.

        `take` raises ValueError, KeyError or TypeError for a snapshot that does not fit the ledger,
        and changes nothing then.
        """
        names = [] if self._storage is None else self._storage.names("generation-")
        fresh = shards.call("state", [()] * shards.num_shards) if names else []
        for name in reversed(names):
            assert self._storage is not None
            try:
                snapshot = unsealed(bytes(self._storage.read(name)))
                shards.call("restore", [(state,) for state in snapshot["shards"]])
                take(snapshot)
            except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
                self._storage.rename(name, f"damaged-{name}")
                _log.warning(
                    "search state %s/%s cannot be used (%s): it was set aside, an older one "
                    "is used",
                    self._storage.location,
                    name,
                    error,
                )
                shards.call("restore", [(state,) for state in fresh])
                continue
            return


def _summed(states: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rejected: dict[str, int] = {}
    for state in states:
        for reason, count in state["rejected"].items():
            rejected[reason] = rejected.get(reason, 0) + count
    infeasible = sum(state.get("infeasible", 0) for state in states)
    if infeasible:
        rejected[INFEASIBLE_NETWORK] = infeasible
    return {
        "proposed": sum(s["proposed"] for s in states),
        "duplicates": sum(s["duplicates"] for s in states),
        "rejected": rejected,
    }
