"""The searcher contract: ask for candidates, tell what became of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evoray.problem.problem import Problem
from evoray.records.columns import Texts, joined_parents
from evoray.records.records import Record, Records
from searchspaces.base import Choices, Keys, SearchSpace, key_array


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
    """How candidates were made, as columns.

    Attributes:
        operators: (n,) "sample", "crossover+mutation", "grid" ...
        parents: (n, p) keys of their parents, b"" where there are fewer than p.
    """

    operators: Texts
    parents: Keys

    def __len__(self) -> int:
        return len(self.operators)

    def take(self, rows: NDArray[np.int64]) -> Lineage:
        """These rows, in this order."""
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
        """How many proposals it has thrown away because their network had been asked for before."""
        ...

    def lineage(self) -> Lineage:
        """One row for each row of the last `ask`."""
        ...


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


class Replayed(ABC):
    """A searcher around another library's algorithm. Its state is the log of what was asked and
    told: restoring repeats it.

    That needs no pickle and works for every algorithm that is a function of its seed; it takes as
    long as the algorithm thought.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._seen = Seen(problem.space)
        self._log: list[dict[str, Any]] = []
        self._lineage = Lineage.same("sample", 0)

    @abstractmethod
    def _start(self) -> None:
        """Builds the algorithm anew from its seed."""

    @abstractmethod
    def _ask(self, count: int) -> tuple[Choices, Lineage]:
        """As `ask`, with where the rows come from."""

    @abstractmethod
    def _tell(
        self, choices: Choices, losses: NDArray[np.float64], violations: NDArray[np.float64]
    ) -> None:
        """Distinct networks in the order of their keys; what failed has WORST_VIOLATION."""

    def ask(self, count: int) -> Choices:
        self._log.append({"ask": count})
        choices, self._lineage = self._ask(count)
        return choices

    def tell(self, records: Sequence[Record]) -> None:
        columns = Records.of(records, len(self._problem.space.genes))
        if len(columns) == 0:
            return
        columns = columns.take(np.argsort(columns.keys, kind="stable"))
        losses, violations = self._problem.losses(columns)
        told = {
            "choices": columns.choices.tolist(),
            "losses": losses.tolist(),
            "violations": violations.tolist(),
        }
        self._log.append(told)
        self._tell(columns.choices, losses, violations)

    @property
    def num_duplicates(self) -> int:
        return self._seen.num_duplicates

    def lineage(self) -> Lineage:
        return self._lineage

    def state(self) -> dict[str, Any]:
        return {"log": list(self._log), "seed": self._seed}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._seed, self._log = state["seed"], list(state["log"])
        self._seen = Seen(self._problem.space)
        self._start()
        for entry in self._log:
            if "ask" in entry:
                self._lineage = self._ask(entry["ask"])[1]
            else:
                choices = np.array(entry["choices"], dtype=np.int16)
                self._tell(choices, np.array(entry["losses"]), np.array(entry["violations"]))

    _seed: int
