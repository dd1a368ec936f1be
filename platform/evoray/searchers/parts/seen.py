"""The networks that a searcher has met, so that it asks for each of them once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray.searchers.base import Lineage
from searchspaces.base import Choices, Keys, SearchSpace, key_array


class Seen:
    """The networks a searcher has met.

    Attributes:
        num_duplicates: Rows that `add_new` has refused.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._keys: dict[bytes, None] = {}
        self.num_duplicates = 0

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, keys: Keys) -> None:
        """Adds networks, whether new or not."""
        self._keys.update(dict.fromkeys(keys.tolist()))

    def add_new(self, choices: Choices, limit: int) -> NDArray[np.int64]:
        """Adds up to `limit` rows that are new, the first of equal rows only, and returns their
        indices; counts the old ones it met.
        """
        keys = key_array(self._space, choices).tolist()
        if (
            len(keys) <= limit
            and len(set(keys)) == len(keys)
            and self._keys.keys().isdisjoint(keys)
        ):
            self._keys.update(dict.fromkeys(keys))
            return np.arange(len(keys))
        known, fresh, looked_at = self._keys, list[int](), 0
        for key in keys if limit > 0 else ():
            if key not in known:
                known[key] = None
                fresh.append(looked_at)
                if len(fresh) == limit:
                    looked_at += 1
                    break
            looked_at += 1
        self.num_duplicates += looked_at - len(fresh)
        return np.array(fresh, dtype=np.int64)

    def new(self, choices: Choices) -> NDArray[np.int64]:
        """Indices of the rows that it has not met, the first of equal rows only; nothing is
        added.
        """
        fresh: dict[bytes, int] = {}
        for i, key in enumerate(key_array(self._space, choices).tolist()):
            if key not in self._keys:
                fresh.setdefault(key, i)
        return np.fromiter(fresh.values(), dtype=np.int64, count=len(fresh))

    def state(self) -> dict[str, Any]:
        return {"keys": b" ".join(self._keys).decode(), "num_duplicates": self.num_duplicates}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._keys = dict.fromkeys(state["keys"].encode().split())
        self.num_duplicates = state["num_duplicates"]


def ask_new(
    seen: Seen,
    count: int,
    num_genes: int,
    draw: Callable[[int, int], tuple[Choices, Lineage]],
    *,
    rounds: int,
) -> tuple[Choices, Lineage]:
    """Up to `count` rows that are new to `seen`, from as many rounds of `draw(missing, round)` as
    it takes, at most `rounds`.

    `draw` may return more rows than are missing, so that a few duplicates do not cost a round.
    """
    found: list[Choices] = []
    lineage: list[Lineage] = []
    missing = count
    for number in range(rounds):
        if missing == 0:
            break
        drawn, origin = draw(missing, number)
        new = seen.add_new(drawn, missing)
        if len(new):
            found.append(drawn[new])
            lineage.append(origin.take(new))
            missing -= len(new)
    if not found:
        return np.zeros((0, num_genes), dtype=np.int16), Lineage.same("sample", 0)
    return np.concatenate(found), Lineage.concat(lineage)
