"""Making choices: sample, cross and mutate whole populations as (n, g) int16 arrays. Nothing here
repairs.

Each gene has the operators that fit it. A gene with a few options, or with options that have no
order, is crossed uniformly and mutated to a neighbouring or any other option. An ordered gene with
more options than `FINE` is a number on a fine scale: simulated binary crossover (Deb and Agrawal
1995) and polynomial mutation (Deb and Goyal 1996) act on its indices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Choices, Gene, SearchSpace

FINE = 24  # an ordered gene with more options than this is treated as a number
_CROSSOVER_ETA = 15.0  # distribution indices: the larger, the nearer children stay to their parents
_MUTATION_ETA = 20.0

Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class GeneKinds:
    """Kinds of the genes, as variation needs them.

    Attributes:
        counts: (g,) how many options each gene has.
        ordered: (g,) whether its options are numbers in order, so that a neighbour is a small step.
        fine: (k,) indices of the genes that are numbers on a fine scale.
    """

    counts: NDArray[np.int16]
    ordered: NDArray[np.bool_]
    fine: NDArray[np.int64]

    @staticmethod
    def of(genes: Sequence[Gene]) -> GeneKinds:
        """Reads the kinds of a space's genes."""
        counts = np.array([len(gene.options) for gene in genes], dtype=np.int16)
        ordered = np.array([_is_ordered(gene) for gene in genes], dtype=bool)
        return GeneKinds(counts, ordered, np.flatnonzero(ordered & (counts > FINE)))


@runtime_checkable
class OwnVariation(Protocol):
    """A space with operators of its own, as its paper has them: valid rows in, valid rows out, one
    gene a time; `repair` follows.
    """

    def sample(self, num: int, rng: Rng) -> Choices:
        """(num, g)."""
        ...

    def mutate(self, choices: Choices, rng: Rng) -> Choices:
        """(n, g) -> (n, g), one gene of each row changed."""
        ...

    def cross(self, first: Choices, second: Choices, rng: Rng) -> Choices:
        """(n, g), (n, g) -> (n, g), one gene of each second parent in the first."""
        ...


def sample_valid(space: SearchSpace, num: int, rng: Rng) -> Choices:
    """(num, g) canonical rows: drawn as the space draws them, or every gene uniform and then
    repaired.
    """
    drawn = (
        space.sample(num, rng)
        if isinstance(space, OwnVariation)
        else sample(GeneKinds.of(space.genes), num, rng)
    )
    return space.repair(drawn)


def sample(kinds: GeneKinds, num: int, rng: Rng) -> Choices:
    """(num, g): every gene uniform and independent."""
    return rng.integers(0, kinds.counts, size=(num, len(kinds.counts)), dtype=np.int16)


def cross(
    first: Choices, second: Choices, kinds: GeneKinds, probability: float, rng: Rng
) -> Choices:
    """One child of each pair of rows: with `probability` it mixes its parents gene by gene, else it
    is the first.
    """
    swap = rng.integers(0, 2, size=first.shape, dtype=np.uint8).view(bool)
    swap &= rng.random((len(first), 1)) < probability
    child = np.where(swap, second, first)
    if len(kinds.fine):
        child[:, kinds.fine] = _blend(
            first[:, kinds.fine],
            second[:, kinds.fine],
            kinds.counts[kinds.fine] - 1,
            probability,
            rng,
        )
    return child


def mutate(
    choices: Choices,
    kinds: GeneKinds,
    probability: float,
    rng: Rng,
    *,
    force: NDArray[np.bool_] | None = None,
) -> Choices:
    """Each gene changes with `probability`, always to a different option.

    At least one gene changes in each row that `force` (n,) marks; None marks all. Half of the
    changes of an ordered gene step to a neighbouring option, the rest draw uniformly among the
    other options; fine genes take a polynomial step. Genes with a single option never change.
    """
    mutated = choices.copy()
    movable = np.flatnonzero(kinds.counts > 1)
    if len(movable) == 0 or len(choices) == 0:
        return mutated
    change = rng.random((len(choices), len(movable)), dtype=np.float32) < probability
    still = ~change.any(axis=1)
    if force is not None:
        still &= force
    change[still, rng.integers(0, len(movable), size=int(still.sum()))] = True
    rows, columns = np.nonzero(change)
    columns = movable[columns]
    counts, old = kinds.counts[columns], choices[rows, columns]
    new = (old + rng.integers(1, counts, dtype=np.int16)) % counts
    near = np.flatnonzero(kinds.ordered[columns] & (rng.random(len(rows)) < 0.5))
    new[near] = _reflected(
        old[near], rng.choice(np.array([-1, 1], dtype=np.int16), size=len(near)), counts[near]
    )
    if len(kinds.fine):
        fine = np.flatnonzero(np.isin(columns, kinds.fine))
        new[fine] = _polynomial(old[fine], counts[fine], rng)
    mutated[rows, columns] = new
    return mutated


def _reflected(old: Choices, step: Choices, counts: Choices) -> Choices:
    outside = (old + step < 0) | (old + step >= counts)
    return np.where(outside, old - step, old + step).astype(np.int16)


def _blend(first: Choices, second: Choices, top: Choices, probability: float, rng: Rng) -> Choices:
    """Bounded simulated binary crossover on indices 0..top: half of the genes are blended, near
    either parent.
    """
    low, high = (
        np.minimum(first, second).astype(np.float64),
        np.maximum(first, second).astype(np.float64),
    )
    span = high - low
    blended = (
        (rng.random(first.shape) < 0.5) & (rng.random((len(first), 1)) < probability) & (span > 0)
    )
    u, near_low = rng.random(first.shape), rng.random(first.shape) < 0.5
    room = np.where(near_low, low, top - high)
    with np.errstate(divide="ignore", invalid="ignore"):
        alpha = 2.0 - (1.0 + 2.0 * room / span) ** -(_CROSSOVER_ETA + 1.0)
        inner = u <= 1.0 / alpha
        spread = np.where(inner, u * alpha, 1.0 / (2.0 - u * alpha)) ** (
            1.0 / (_CROSSOVER_ETA + 1.0)
        )
    value = 0.5 * (low + high + np.where(near_low, -1.0, 1.0) * spread * span)
    return np.where(blended, np.clip(np.rint(np.where(blended, value, 0.0)), 0, top), first).astype(
        np.int16
    )


def _polynomial(old: Choices, counts: Choices, rng: Rng) -> Choices:
    """Bounded polynomial mutation on indices; a step that rounds to nothing becomes one option up
    or down.
    """
    top = counts.astype(np.float64) - 1.0
    u, power = rng.random(len(old)), 1.0 / (_MUTATION_ETA + 1.0)
    room = np.where(u < 0.5, old / top, 1.0 - old / top)
    edge = (1.0 - room) ** (_MUTATION_ETA + 1.0)
    down = (2.0 * u + (1.0 - 2.0 * u) * edge) ** power - 1.0
    up = 1.0 - (2.0 * (1.0 - u) + 2.0 * (u - 0.5) * edge) ** power
    moved = np.clip(np.rint(old + np.where(u < 0.5, down, up) * top), 0, top).astype(np.int16)
    same = moved == old
    return np.where(
        same, _reflected(old, np.where(u < 0.5, -1, 1).astype(np.int16), counts), moved
    ).astype(np.int16)


def _is_ordered(gene: Gene) -> bool:
    numbers = [o for o in gene.options if isinstance(o, int | float) and not isinstance(o, bool)]
    return len(numbers) == len(gene.options) and numbers == sorted(numbers)
