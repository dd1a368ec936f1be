"""The searcher contract: ask for candidates, tell what became of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evoray.records.columns import Texts, joined_parents
from evoray.records.records import Record
from searchspaces.base import Choices, Keys


class Searcher(Protocol):
    """One evolutionary algorithm (or any other). All its randomness and memory is in `state()`."""

    def ask(self, count: int) -> Choices:
        """(<= count, g) canonical choices that it has not asked for before; fewer only when it
        finds no new ones.
        """
        ...

    def tell(self, records: Sequence[Record]) -> None:
        """Takes finished records, also ones it never asked for; their order does not matter. They
        come as `evoray.records.records.Records`.
        """
        ...

    def state(self) -> dict[str, Any]:
        """Everything `restore` needs, as JSON."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on exactly where the searcher that gave `state` was."""
        ...


@dataclass(frozen=True, eq=False)
class Lineage:
    """Origin of candidates, as columns: the operators that made them, and their parents.

    Attributes:
        operators: (n,) "sample", "crossover+mutation", "grid" ...
        parents: (n, p) keys of their parents, b"" where there are fewer than p.
    """

    operators: Texts
    parents: Keys

    def __len__(self) -> int:
        return len(self.operators)

    def take(self, rows: NDArray[np.int64]) -> Lineage:
        """Takes these rows, in this order."""
        return Lineage(self.operators[rows], self.parents[rows])

    @staticmethod
    def same(operator: str, num: int, parents: Keys | None = None) -> Lineage:
        """`num` candidates made alike."""
        return Lineage(
            np.full(num, operator, dtype=object),
            np.zeros((num, 0), dtype="S1") if parents is None else parents,
        )

    @staticmethod
    def concat(parts: Sequence[Lineage]) -> Lineage:
        """One after the other; at least one part."""
        if len(parts) == 1:
            return parts[0]
        return Lineage(
            np.concatenate([p.operators for p in parts]), joined_parents([p.parents for p in parts])
        )


@runtime_checkable
class TracesCandidates(Protocol):
    """A searcher that can say where its candidates come from, for the genealogy and the statistics
    in the report.
    """

    @property
    def num_duplicates(self) -> int:
        """Number of proposals that it has thrown away because their network had been asked for
        before.
        """
        ...

    def lineage(self) -> Lineage:
        """One row for each row of the last `ask`."""
        ...


@runtime_checkable
class Renewable(Searcher, TracesCandidates, Protocol):
    """A searcher whose networks are measured anew in every round, for their weights go on
    training.
    """

    @property
    def parents(self) -> tuple[Choices, Keys]:
        """(p, g) the survivors, best first, and their (p,) keys."""
        ...

    def renew(self) -> None:
        """Forgets what was measured, not what was asked: the next `tell` brings new values."""
        ...


@runtime_checkable
class Asynchronous(Protocol):
    """A searcher that can say whether it wants to be told of each record at once, without
    generations.
    """

    @property
    def asynchronous(self) -> bool:
        """No barrier is wanted."""
        ...


@runtime_checkable
class CountsInfeasible(Protocol):
    """A searcher that gives up rows before it proposes them, and counts them for the report."""

    @property
    def num_infeasible(self) -> int:
        """Rows of which nothing met the constraints."""
        ...


def is_asynchronous(searcher: Searcher) -> bool:
    """No barrier is wanted; a searcher that says nothing wants generations."""
    return isinstance(searcher, Asynchronous) and bool(searcher.asynchronous)


def num_infeasible_of(searcher: Searcher) -> int:
    """The number of rows it has given up; 0 where it does not count them."""
    return int(searcher.num_infeasible) if isinstance(searcher, CountsInfeasible) else 0


def lineage_of(searcher: Searcher, num: int) -> Lineage:
    """Lineage of the `num` candidates of its last `ask`; operator "asked" where the searcher traces
    none.
    """
    if isinstance(searcher, TracesCandidates):
        return searcher.lineage()
    return Lineage.same("asked", num)


def num_duplicates_of(searcher: Searcher) -> int:
    """The number of proposals it has thrown away as known; 0 where it does not count them."""
    return searcher.num_duplicates if isinstance(searcher, TracesCandidates) else 0
