"""The searcher contract: ask for candidates, tell what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evoray.records import Record
from searchspaces.base import Choices


class Searcher(Protocol):
    """One evolutionary algorithm (or any other). All its randomness and memory is in `state()`."""

    def ask(self, count: int) -> Choices:
        """(<= count, g) canonical choices that it has not asked for before; fewer only when it finds no new ones."""
        ...

    def tell(self, records: Sequence[Record]) -> None:
        """Takes finished records, also ones it never asked for; their order does not matter."""
        ...

    def state(self) -> dict[str, Any]:
        """Everything `restore` needs, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on exactly where the searcher that gave `state` was."""
        ...


@dataclass(frozen=True)
class Lineage:
    """How one asked candidate was made.

    Attributes:
        operator: "sample", "crossover+mutation", "grid" ...
        parents: Their keys.
    """

    operator: str
    parents: tuple[str, ...] = ()


@runtime_checkable
class TracesCandidates(Protocol):
    """A searcher that can say where its candidates come from, for the genealogy and the statistics in the report."""

    @property
    def num_duplicates(self) -> int:
        """How many proposals it has thrown away because their network had been asked for before."""
        ...

    def lineage(self) -> Sequence[Lineage]:
        """One for each row of the last `ask`."""
        ...


class Seen:
    """The canonical rows a searcher has met, in order.

    Attributes:
        num_duplicates: Rows that `add_new` has refused.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, None] = {}
        self.num_duplicates = 0

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, choices: Choices) -> None:
        """Adds rows, whether new or not."""
        self._rows.update(dict.fromkeys(_texts(choices)))

    def add_new(self, choices: Choices) -> NDArray[np.int64]:
        """Adds rows and counts those met before; the indices of the new ones, the first of equal rows only."""
        fresh = []
        for i, text in enumerate(_texts(choices)):
            if text not in self._rows:
                self._rows[text] = None
                fresh.append(i)
        self.num_duplicates += len(choices) - len(fresh)
        return np.array(fresh, dtype=np.int64)

    def state(self) -> dict[str, Any]:
        return {"rows": [row.hex() for row in self._rows], "num_duplicates": self.num_duplicates}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._rows = dict.fromkeys(bytes.fromhex(row) for row in state["rows"])
        self.num_duplicates = state["num_duplicates"]


def _texts(choices: Choices) -> list[bytes]:
    return [row.tobytes() for row in np.ascontiguousarray(choices, dtype="<i2")]
