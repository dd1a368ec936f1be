"""Rules of valid genotypes, and their drawing, mutation and crossover, whole populations at once.

EAGAN (Ying et al. 2022, arXiv:2111.15097), section 4.3, and its released code where the paper is
silent: one gene changes a time, uniform over what keeps every node connected. All results are
valid; `repair` of the space then makes them canonical.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Choices

Rng = np.random.Generator
_SKIP_CONNECT = 1


@dataclass(frozen=True)
class Rules:
    """Rules that bind the genes of a space together.

    Attributes:
        counts: Number of options of each gene.
        groups: Columns of which at least one must not be option 0 ("none"): the edges into one
            node.
        switches: (column, dependent): while the first is option 0 ("keep") the dependent gene is
            idle and stored as 0.
    """

    counts: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    switches: tuple[tuple[int, int], ...] = ()

    def repaired(self, choices: Choices) -> Choices:
        """(n, g) -> (n, g): in range, every node connected (by an identity from the last of its
        group), idle genes 0.
        """
        fixed = np.clip(choices, 0, np.array(self.counts) - 1).astype(np.int16)
        for group in self.groups:
            fixed[(fixed[:, group] == 0).all(axis=1), group[-1]] = _SKIP_CONNECT
        for column, dependent in self.switches:
            fixed[fixed[:, column] == 0, dependent] = 0
        return fixed

    def is_valid(self, choices: Choices) -> NDArray[np.bool_]:
        """(n,): whether `repaired` would leave the row as it is."""
        return np.asarray((self.repaired(choices) == choices).all(axis=1))

    def sample(self, num: int, rng: Rng) -> Choices:
        """(num, g) uniform over the valid values of each group; a dependent gene is uniform where
        its switch is on.
        """
        drawn = rng.integers(0, np.array(self.counts), size=(num, len(self.counts)), dtype=np.int16)
        for group in self.groups:
            valid = list(itertools.product(*(range(self.counts[column]) for column in group)))[
                1:
            ]  # the first is all "none"
            drawn[:, group] = np.array(valid, dtype=np.int16)[rng.integers(0, len(valid), num)]
        return self.repaired(drawn)

    def mutate(self, choices: Choices, rng: Rng) -> Choices:
        """One gene of each row, uniform, becomes another of its valid options, uniform; idle genes
        are never chosen.

        A gene that a switch wakes is drawn uniformly; one that it puts to sleep becomes 0.
        """
        mutated, rows = choices.copy(), np.arange(len(choices))
        column = _one_of(~self._idle(choices) & (np.array(self.counts) > 1), rng)
        options = np.arange(max(self.counts))
        legal = (options < np.array(self.counts)[column, None]) & (
            options != choices[rows, column, None]
        )
        legal[:, 0] &= ~self._holds_alone(choices)[rows, column]
        mutated[rows, column] = _one_of(legal, rng)
        for switch, dependent in self.switches:
            woken = (choices[:, switch] == 0) & (mutated[:, switch] != 0)
            mutated[woken, dependent] = rng.integers(0, self.counts[dependent], int(woken.sum()))
        return self.repaired(mutated)

    def cross(self, first: Choices, second: Choices, rng: Rng) -> Choices:
        """The first of each pair with one gene of the second, uniform among those that differ and
        keep the child valid.

        A switch that is turned on brings its dependent gene along. Pairs without such a gene give
        the first parent itself.
        """
        allowed = (first != second) & ~self._idle(first) & ~self._idle(second)
        allowed &= ~(self._holds_alone(first) & (second == 0))
        rows, column = np.flatnonzero(allowed.any(axis=1)), _one_of(allowed, rng)
        child = first.copy()
        child[rows, column[rows]] = second[rows, column[rows]]
        for switch, dependent in self.switches:
            woken = (first[:, switch] == 0) & (child[:, switch] != 0)
            child[woken, dependent] = second[woken, dependent]
        return self.repaired(child)

    def _idle(self, choices: Choices) -> NDArray[np.bool_]:
        idle = np.zeros(choices.shape, dtype=bool)
        for column, dependent in self.switches:
            idle[:, dependent] = choices[:, column] == 0
        return idle

    def _holds_alone(self, choices: Choices) -> NDArray[np.bool_]:
        """(n, g): whether a gene is the only one of its group that is not "none"."""
        alone = np.zeros(choices.shape, dtype=bool)
        for group in self.groups:
            there = choices[:, group] != 0
            alone[:, group] = there & (there.sum(axis=1, keepdims=True) == 1)
        return alone


def _one_of(allowed: NDArray[np.bool_], rng: Rng) -> NDArray[np.int64]:
    """(n, k) -> (n,): an allowed index of each row, uniform; 0 where none is."""
    return np.asarray(np.where(allowed, rng.random(allowed.shape), -1.0).argmax(axis=1))
