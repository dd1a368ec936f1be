"""The searcher contract: ask for candidates, tell what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

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
class TracesLineage(Protocol):
    """A searcher that can say where its candidates come from, for the genealogy in the report."""

    def lineage(self) -> Sequence[Lineage]:
        """One for each row of the last `ask`."""
        ...


class Seen:
    """The rows a searcher has asked for: a set of canonical choices that remembers its order for `state()`."""

    def __init__(self) -> None:
        self._rows: dict[bytes, None] = {}

    def add_new(self, choices: Choices) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Adds the rows not seen yet; their indices, the first of equal rows only."""
        before = self._rows
        fresh = []
        for i, row in enumerate(np.ascontiguousarray(choices, dtype=np.int16)):
            text = row.tobytes()
            if text not in before:
                before[text] = None
                fresh.append(i)
        return np.array(fresh, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def state(self) -> list[str]:
        return [row.hex() for row in self._rows]

    def restore(self, state: Sequence[str]) -> None:
        self._rows = dict.fromkeys(bytes.fromhex(row) for row in state)
