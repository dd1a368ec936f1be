"""Laws of sampling, crossover and mutation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evoray import variation
from searchspaces.base import Gene

GENES = st.lists(st.integers(1, 6), min_size=1, max_size=8).map(
    lambda sizes: [Gene(f"g{i}", tuple(range(n)) if i % 2 else tuple("abcdef"[:n])) for i, n in enumerate(sizes)]
)


@settings(max_examples=60, deadline=None)
@given(GENES, st.integers(0, 2**32), st.integers(0, 20), st.floats(0, 1))
def test_offspring_are_valid_and_a_mutant_differs_where_it_can(genes: list[Gene], seed: int, num: int, probability: float) -> None:
    rng = np.random.default_rng(seed)
    counts = variation.option_counts(genes)
    first, second = variation.sample(counts, num, rng), variation.sample(counts, num, rng)
    crossed = variation.cross(first, second, probability, rng)
    assert ((crossed == first) | (crossed == second)).all()
    mutated = variation.mutate(crossed, counts, variation.ordered_genes(genes), probability, rng)
    assert mutated.dtype == np.int16
    assert mutated.shape == (num, len(genes))
    assert ((mutated >= 0) & (mutated < counts)).all()
    changed = (mutated != crossed).any(axis=1)
    assert changed.all() if (counts > 1).any() else not changed.any()


@settings(max_examples=30, deadline=None)
@given(GENES, st.integers(0, 2**32))
def test_equal_generators_give_equal_offspring(genes: list[Gene], seed: int) -> None:
    counts, ordered = variation.option_counts(genes), variation.ordered_genes(genes)

    def offspring() -> np.ndarray:  # type: ignore[type-arg]
        rng = np.random.default_rng(seed)
        return variation.mutate(variation.sample(counts, 10, rng), counts, ordered, 0.3, rng)

    assert (offspring() == offspring()).all()
