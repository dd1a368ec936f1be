"""Making choices: sample, cross and mutate whole populations as (n, g) int16 arrays. Nothing here repairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Choices, Gene


def option_counts(genes: Sequence[Gene]) -> NDArray[np.int16]:
    """(g,): how many options each gene has."""
    return np.array([len(gene.options) for gene in genes], dtype=np.int16)


def ordered_genes(genes: Sequence[Gene]) -> NDArray[np.bool_]:
    """(g,): whether a gene's options are numbers in order, so that a neighbour is a small step."""
    return np.array([_is_ordered(gene) for gene in genes], dtype=bool)


def sample(counts: NDArray[np.int16], num: int, rng: np.random.Generator) -> Choices:
    """(num, g): every gene uniform and independent."""
    return rng.integers(0, counts, size=(num, len(counts)), dtype=np.int16)


def cross(first: Choices, second: Choices, probability: float, rng: np.random.Generator) -> Choices:
    """Uniform crossover of paired rows: with `probability` a row takes each gene from either parent, else it is the first."""
    swap = rng.random(first.shape) < 0.5
    swap &= rng.random((len(first), 1)) < probability
    return np.where(swap, second, first)


def mutate(
    choices: Choices, counts: NDArray[np.int16], ordered: NDArray[np.bool_], probability: float, rng: np.random.Generator
) -> Choices:
    """Each gene changes with `probability`, always to a different option; at least one gene a row changes.

    Half of the changes of an ordered gene step to a neighbouring option, the rest draw uniformly among the other options.
    Genes with a single option never change; a row without any other is returned as it is.
    """
    movable = counts > 1
    if not movable.any():
        return choices.copy()
    change = (rng.random(choices.shape) < probability) & movable
    forced = rng.choice(np.flatnonzero(movable), size=len(choices))
    untouched = ~change.any(axis=1)
    change[untouched, forced[untouched]] = True
    other = (choices + rng.integers(1, np.maximum(counts, 2), size=choices.shape, dtype=np.int16)) % counts
    step = np.where(rng.random(choices.shape) < 0.5, 1, -1).astype(np.int16)
    step = np.where((choices + step < 0) | (choices + step >= counts), -step, step)
    near = ordered & (rng.random(choices.shape) < 0.5)
    moved = np.where(near, choices + step, other)
    return np.where(change, moved, choices).astype(np.int16)


def _is_ordered(gene: Gene) -> bool:
    numbers = [o for o in gene.options if isinstance(o, int | float) and not isinstance(o, bool)]
    return len(numbers) == len(gene.options) and numbers == sorted(numbers)
