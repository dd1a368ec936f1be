"""A searcher whose rows are improved before anyone measures them: each is replaced by the best that
an exact inner search finds near it.

Where part of a row can be optimised without measuring, as the chip under given networks, evolution
need not stumble on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evoray.problem.problem import Problem
from evoray.records.records import Record
from evoray.searchers.base import Lineage, Searcher, is_asynchronous, lineage_of
from evoray.searchers.parts.seen import Seen
from searchspaces.base import Choices

Refinement = Callable[
    [Choices], Sequence[Choices]
]  # (n, g) canonical -> n arrays (m, g) canonical, m 0 where a row is infeasible
# of asking without a new row: where one network in a hundred has a chip within the specs, that is
# patience, not more
_ROUNDS = 400


class InnerSearch:
    """Asks its inner searcher, and proposes what `refine` makes of the rows.

    Attributes:
        num_infeasible: Rows of which nothing was left.
    """

    def __init__(
        self, problem: Problem, inner: Searcher, refine: Refinement, *, operator: str = "refined"
    ) -> None:
        """`operator` is added to how the inner searcher made a row, for the genealogy."""
        self._inner = inner
        self._refine = refine
        self._operator = operator
        self._num_genes = len(problem.space.genes)
        self._seen = Seen(problem.space)
        self._lineage = Lineage.same("sample", 0)
        self.num_infeasible = 0

    @property
    def asynchronous(self) -> bool:
        """True if the inner searcher is asynchronous."""
        return is_asynchronous(self._inner)

    def ask(self, count: int) -> Choices:
        """Asks the inner searcher and replaces each row by the rows that the inner search finds for
        it; rows of the last one that no longer fit into `count` are dropped.
        """
        found: list[Choices] = [np.zeros((0, self._num_genes), dtype=np.int16)]
        origins: list[Lineage] = [Lineage.same("sample", 0)]
        missing, empty = count, 0
        while missing and empty < _ROUNDS:
            asked = self._inner.ask(1 if missing < count else max(1, count // 4))
            if not len(asked):
                break
            origin = lineage_of(self._inner, len(asked))
            empty += 1
            for index, rows in enumerate(self._refine(asked)):
                self.num_infeasible += not len(rows)
                new = (
                    self._seen.add_new(rows, missing) if len(rows) else np.zeros(0, dtype=np.int64)
                )
                if len(new):
                    found.append(rows[new])
                    origins.append(self._described(origin, index, len(new)))
                    missing, empty = missing - len(new), 0
        self._lineage = Lineage.concat(origins)
        return np.concatenate(found)

    def _described(self, origin: Lineage, index: int, count: int) -> Lineage:
        same = origin.take(np.full(count, index))
        return Lineage(
            np.array([f"{name}+{self._operator}" for name in same.operators], dtype=object),
            same.parents,
        )

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Lineage:
        return self._lineage

    def tell(self, records: Sequence[Record]) -> None:
        self._inner.tell(records)

    def state(self) -> dict[str, Any]:
        return {
            "inner": self._inner.state(),
            "seen": self._seen.state(),
            "infeasible": self.num_infeasible,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self._inner.restore(state["inner"])
        self._seen.restore(state["seen"])
        self.num_infeasible = state.get("infeasible", state.get("hopeless", 0))  # the older name
