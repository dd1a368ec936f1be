"""The compiled survival agrees with the NumPy one to the bit, ties and all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from evoray.pareto import dominance

pytestmark = pytest.mark.slow  # the first run compiles


def by_merit(losses: NDArray[np.float64], count: int) -> list[int]:
    """The definition: rank and crowding of all points, then one sort."""
    rank = dominance.ranks(losses)
    order = np.lexsort((-dominance.crowding(losses, rank), rank))
    return order[:count].tolist()


@settings(max_examples=200, deadline=None)
@given(
    num=st.integers(1, 300),
    num_losses=st.sampled_from([2, 3]),
    levels=st.sampled_from([1, 2, 5, 30, 10**9]),
    share=st.floats(0, 1.1),
    seed=st.integers(0, 2**32),
)
def test_compiled_survival_keeps_what_the_definition_keeps(
    num: int, num_losses: int, levels: int, share: float, seed: int
) -> None:
    from evoray.pareto import compiled

    losses = np.random.default_rng(seed).integers(0, levels, (num, num_losses)).astype(np.float64)
    count = int(share * num)
    assert compiled.best(losses, count).tolist() == by_merit(losses, count)


@pytest.mark.parametrize("num_losses", [2, 3])
@pytest.mark.parametrize("decimals", [2, 12])
def test_many_survivors_keep_what_the_definition_keeps(num_losses: int, decimals: int) -> None:
    losses = np.random.default_rng(0).random((6000, num_losses)).round(decimals)
    violations = np.where(np.arange(6000) % 5 == 0, losses[:, 0].round(1), 0.0)
    rank, crowd = dominance.order_of_merit(losses, violations)
    for count in (100, 3000, 5500, 7000):
        assert (
            dominance.survivors(losses, violations, count).tolist()
            == np.lexsort((-crowd, rank))[:count].tolist()
        )
