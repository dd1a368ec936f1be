"""Proposals: candidates on their way from a shard to the evaluator, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoray.searchers.base import Lineage
from searchspaces.base import Architecture, Choices, Keys


@dataclass(frozen=True, eq=False)
class Proposals:
    """Candidates that met every analytic constraint, as columns of equal length n.

    Attributes:
        choices: (n, g) canonical.
        keys: (n,) their text ids.
        costs: Every cost by name, (n,).
        lineage: Operators and parents that made them.
        shards: (n,) index of their shard.
    """

    choices: Choices
    keys: Keys
    costs: Mapping[str, NDArray[np.float64]]
    lineage: Lineage
    shards: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: NDArray[np.int64]) -> Proposals:
        """Takes these rows, in this order."""
        costs = {name: column[rows] for name, column in self.costs.items()}
        return Proposals(
            self.choices[rows], self.keys[rows], costs, self.lineage.take(rows), self.shards[rows]
        )

    def architectures(self, space: str) -> list[Architecture]:
        """Builds the proposals as architectures, for evaluators."""
        rows = zip(self.choices.tolist(), self.keys.tolist(), strict=True)
        return [Architecture(space, tuple(row), key.decode()) for row, key in rows]

    @staticmethod
    def concat(parts: Sequence[Proposals]) -> Proposals:
        """One after the other; at least one part."""
        if len(parts) == 1:
            return parts[0]
        return Proposals(
            np.concatenate([p.choices for p in parts]),
            np.concatenate([p.keys for p in parts]),
            {name: np.concatenate([p.costs[name] for p in parts]) for name in parts[0].costs},
            Lineage.concat([p.lineage for p in parts]),
            np.concatenate([p.shards for p in parts]),
        )
