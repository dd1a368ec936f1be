"""Synthetic tabular spaces: every network's values are known, so that a search can be compared with
the exact front.

`cell` imitates NAS-EvaluationWorker-201's shape (six edges, five operations, 15,625 cells, some of
them disconnected), `stages` a mobile network's (depth, width, kernel, resolution; inactive genes),
`epistasis` has random interactions between pairs of genes. All values are made up; a small part of
each is noise that no model can know.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evoray.pareto import dominance
from evoray.problem.problem import Problem
from objectives.base import Candidate, Goal, Needs
from searchspaces.base import Architecture, Choices, Gene, key_array

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Table:
    """A space whose networks are the distinct rows of `rows`; their values are to be minimised.

    Attributes:
        values: Columns (n,) by name, in the order of the distinct canonical rows.
    """

    name: str
    genes: tuple[Gene, ...]
    rows: Choices
    values: Mapping[str, Floats]
    inactive: tuple[tuple[int, int], ...] = ()  # (gene, gene that switches it off when it is 0)
    index: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index.update({key: i for i, key in enumerate(key_array(self, self.rows).tolist())})

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {}

    def repair(self, choices: Choices) -> Choices:
        fixed = np.array(choices, dtype=np.int16)
        for gene, switch in self.inactive:
            fixed[fixed[:, switch] == 0, gene] = 0
        return fixed

    def costs(self, choices: Choices) -> dict[str, Floats]:
        where = [self.index[key] for key in key_array(self, choices).tolist()]
        return {name: column[where] for name, column in self.values.items()}

    def build_supernet(self) -> nn.Module:
        return nn.Identity()

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        return nn.Identity()

    def exact_hypervolume(self, names: Sequence[str]) -> float:
        """Hypervolume of the whole table's front, on values scaled to [0, 1] with the reference at
        1.1.
        """
        return dominance.hypervolume(
            self.scaled(np.arange(len(self.rows)), names), np.full(len(names), 1.1)
        )

    def scaled(self, where: NDArray[np.int64], names: Sequence[str]) -> Floats:
        """(n, m) values of these rows, each scaled by its range over the table."""
        columns = [(self.values[n] - self.values[n].min()) / np.ptp(self.values[n]) for n in names]
        return np.stack(columns, axis=1)[where]

    def share(self, keys: Sequence[str], names: Sequence[str]) -> float:
        """Hypervolume of these networks as a share of the exact front's."""
        where = np.array([self.index[key.encode()] for key in keys])
        return dominance.hypervolume(
            self.scaled(where, names), np.full(len(names), 1.1)
        ) / self.exact_hypervolume(names)


@dataclass(frozen=True)
class Entry:
    """One column of a table as a measured objective."""

    table: Table
    name: str
    unit: str = ""
    goal: Goal = Goal.MINIMIZE
    needs: Needs = field(default_factory=Needs)

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def measure(self, candidate: Candidate) -> float:
        return float(
            self.table.values[self.name][self.table.index[candidate.architecture.key.encode()]]
        )


@dataclass(frozen=True)
class EntryCost:
    """One column of a table as a cost model."""

    table: Table
    name: str
    unit: str = ""
    goal: Goal = Goal.MINIMIZE

    def evaluate(self, choices: Choices) -> Floats:
        return self.table.costs(choices)[self.name]


def tabular_problem(table: Table, names: Sequence[str], *, computed: Sequence[str] = ()) -> Problem:
    """Minimise the named columns; those in `computed` are known without measuring."""
    measured = tuple(Entry(table, name) for name in names if name not in computed)
    costs = tuple(EntryCost(table, name) for name in names if name in computed)
    return Problem(table, measured, costs, tuple(names))


def _grid(counts: Sequence[int]) -> Choices:
    return np.array(list(itertools.product(*map(range, counts))), dtype=np.int16)


def _one_hot(rows: Choices, counts: Sequence[int]) -> Floats:
    return np.concatenate([np.eye(count)[rows[:, i]] for i, count in enumerate(counts)], axis=1)


def cell(seed: int) -> Table:
    """Four nodes, six edges; operations none, skip, 1x1, 3x3, pool. Error in percent, latency,
    MACs.
    """
    rng = np.random.default_rng([seed, 1])
    rows = _grid([5] * 6)
    quality = np.array([0.0, 0.25, 0.75, 1.0, 0.3]) + np.append(0.0, rng.normal(0, 0.05, 4))
    edge = quality[rows] * (1 + rng.normal(0, 0.15, (1, 6)))
    on = rows > 0
    one, two = edge[:, 0], edge[:, 1] + edge[:, 0] * edge[:, 2]
    to_one, to_two = on[:, 0], on[:, 1] | (on[:, 0] & on[:, 2])
    out = (
        edge[:, 3]
        + np.where(to_one, edge[:, 4] * (0.5 + one), 0)
        + np.where(to_two, edge[:, 5] * (0.5 + two), 0)
    )
    error = (
        5.5
        + 9 * np.exp(-1.1 * out)
        + 14 * np.exp(-3 * out)
        - 0.25 * np.minimum((rows == 1).sum(1), 2)
        + 0.3 * (rows == 4).sum(1)
    )
    error += rng.normal(0, 0.25, len(rows)) * (1 + 2 * np.exp(-out))
    error = np.where(
        on[:, 3] | (to_one & on[:, 4]) | (to_two & on[:, 5]),
        error,
        90 + rng.normal(0, 0.02, len(rows)),
    )
    cost = np.array([0, 0, 0.3, 1.0, 0.15]) * np.exp(rng.normal(0, 0.05, 5))
    latency = (1 + cost[rows] @ (1 + rng.normal(0, 0.1, 6))) * np.exp(
        rng.normal(0, 0.02, len(rows))
    )
    macs = 1 + 20 * np.array([0, 0, 1 / 9, 1.0, 0])[rows].sum(1)
    genes = tuple(
        Gene(f"edge{i}", ("none", "skip", "conv1x1", "conv3x3", "pool")) for i in range(6)
    )
    return Table("cell", genes, rows, {"top1_error": error, "latency": latency, "macs": macs})


def stages(seed: int) -> Table:
    """Two stages with depth, width and kernel, and the resolution; the second kernel is inactive at
    depth 0.
    """
    rng = np.random.default_rng([seed, 2])
    counts = [3, 4, 4, 3, 4, 4, 5]
    rows = _grid(counts)
    rows[rows[:, 3] == 0, 5] = 0
    rows = np.unique(rows, axis=0)
    d1, w1, k1, d2, w2, k2, side = (rows[:, i].astype(float) for i in range(7))
    first, second = (d1 + 1) * (w1 + 2) ** 2, 1.5 * (d2 + 1) * (w2 + 2) ** 2
    macs = (first * (1 + 0.15 * k1) + second * (1 + 0.1 * k2)) * (side + 3) ** 2
    error = (
        60
        - 5.5 * np.log(macs)
        + 0.8 * abs(w1 - w2)
        + 0.4 * abs(side - 2 - 0.5 * d1)
        - 0.5 * np.tanh(k1 - 1)
    )
    error += rng.normal(0, 0.35, len(rows))
    latency = macs**0.8 * (1 + 0.1 * k1) * np.exp(rng.normal(0, 0.03, len(rows))) + 30 * (d1 + d2)
    names = (
        "stage1.depth",
        "stage1.width",
        "stage1.kernel",
        "stage2.depth",
        "stage2.width",
        "stage2.kernel",
        "resolution",
    )
    genes = tuple(
        Gene(name, tuple(range(count))) for name, count in zip(names, counts, strict=True)
    )
    return Table(
        "stages",
        genes,
        rows,
        {"top1_error": error, "latency": latency, "macs": macs},
        inactive=((5, 3),),
    )


def epistasis(seed: int) -> Table:
    """Effects of single genes and of random pairs; the second value is nearly additive."""
    rng = np.random.default_rng([seed, 3])
    counts = [3, 5, 4, 4, 3, 6, 3]
    rows = _grid(counts)
    hot = _one_hot(rows, counts)
    pairs = np.triu(
        rng.normal(0, 0.6, (hot.shape[1],) * 2) * (rng.random((hot.shape[1],) * 2) < 0.3), 1
    )
    error = hot @ rng.normal(0, 1, hot.shape[1]) + np.einsum("ni,ij,nj->n", hot, pairs, hot)
    error = (error - error.mean()) / error.std() + rng.normal(0, 0.08, len(rows))
    latency = hot @ np.concatenate([np.linspace(0, rng.random() + 0.2, count) for count in counts])
    latency = np.exp(0.5 * (latency - latency.mean()) / latency.std()) * np.exp(
        rng.normal(0, 0.02, len(rows))
    )
    genes = tuple(Gene(f"gene{i}", tuple("abcdefgh"[:count])) for i, count in enumerate(counts))
    return Table(
        "epistasis",
        genes,
        rows,
        {"top1_error": error, "latency": latency, "macs": hot @ rng.random(hot.shape[1])},
    )


TABLES = {"cell": cell, "stages": stages, "epistasis": epistasis}
