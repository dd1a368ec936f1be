"""Laws of sampling, crossover and mutation."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from evoray import variation
from searchspaces.base import Gene

GENES = st.lists(st.integers(1, 6), min_size=1, max_size=8).map(
    lambda sizes: [
        Gene(f"g{i}", tuple(range(50 * n if n > 4 else n)) if i % 2 else tuple("abcdef"[:n]))
        for i, n in enumerate(sizes)
    ]
)


@settings(max_examples=60, deadline=None)
@given(GENES, st.integers(0, 2**32), st.integers(0, 20), st.floats(0, 1))
def test_offspring_are_valid_and_a_mutant_differs_where_it_can(
    genes: list[Gene], seed: int, num: int, probability: float
) -> None:
    rng = np.random.default_rng(seed)
    kinds = variation.GeneKinds.of(genes)
    first, second = variation.sample(kinds, num, rng), variation.sample(kinds, num, rng)
    crossed = variation.cross(first, second, kinds, probability, rng)
    coarse = np.setdiff1d(np.arange(len(genes)), kinds.fine)
    assert ((crossed == first) | (crossed == second))[:, coarse].all()
    assert ((crossed >= 0) & (crossed < kinds.counts)).all()
    mutated = variation.mutate(crossed, kinds, probability, rng)
    assert mutated.dtype == np.int16
    assert mutated.shape == (num, len(genes))
    assert ((mutated >= 0) & (mutated < kinds.counts)).all()
    changed = (mutated != crossed).any(axis=1)
    assert changed.all() if (kinds.counts > 1).any() else not changed.any()


@settings(max_examples=30, deadline=None)
@given(GENES, st.integers(0, 2**32))
def test_equal_generators_give_equal_offspring(genes: list[Gene], seed: int) -> None:
    kinds = variation.GeneKinds.of(genes)

    def offspring() -> np.ndarray:  # type: ignore[type-arg]
        rng = np.random.default_rng(seed)
        return variation.mutate(variation.sample(kinds, 10, rng), kinds, 0.3, rng)

    assert (offspring() == offspring()).all()
