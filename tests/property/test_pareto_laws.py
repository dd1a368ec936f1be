"""Laws of dominance that hold for every set of points."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from evoray.pareto import dominance

LOSSES = st.tuples(st.integers(1, 24), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.integers(-5, 5).map(float))
)


def dominates(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    return bool((a <= b).all() and (a < b).any())


@settings(max_examples=60, deadline=None)
@given(LOSSES)
def test_the_front_is_what_nobody_dominates(losses: NDArray[np.float64]) -> None:
    expected = [i for i, p in enumerate(losses) if not any(dominates(q, p) for q in losses)]
    assert dominance.front(losses).tolist() == expected
    assert np.flatnonzero(dominance.ranks(losses) == 0).tolist() == expected


@settings(max_examples=60, deadline=None)
@given(LOSSES)
def test_a_dominating_point_has_a_smaller_rank(losses: NDArray[np.float64]) -> None:
    rank = dominance.ranks(losses)
    assert all(
        rank[i] < rank[j]
        for i, p in enumerate(losses)
        for j, q in enumerate(losses)
        if dominates(p, q)
    )


@settings(max_examples=40, deadline=None)
@given(LOSSES)
def test_one_more_point_never_shrinks_the_hypervolume(losses: NDArray[np.float64]) -> None:
    reference = np.full(losses.shape[1], 6.0)
    volumes = [dominance.hypervolume(losses[:n], reference) for n in range(len(losses) + 1)]
    assert all(a <= b + 1e-9 for a, b in itertools.pairwise(volumes))


@settings(max_examples=40, deadline=None)
@given(LOSSES, st.randoms(use_true_random=False))
def test_survivors_are_the_same_points_in_any_order_of_input(
    losses: NDArray[np.float64], shuffler: object
) -> None:
    distinct = np.unique(losses, axis=0)
    order = np.arange(len(distinct))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    rank = dominance.ranks(distinct)
    assert (dominance.ranks(distinct[order]) == rank[order]).all()


@settings(max_examples=60, deadline=None)
@given(LOSSES, st.integers(0, 26), st.integers(0, 5))
def test_survivors_are_the_first_by_merit(
    losses: NDArray[np.float64], count: int, num_infeasible: int
) -> None:
    violations = np.zeros(len(losses))
    violations[:num_infeasible] = np.arange(num_infeasible, 0, -1)[: len(losses)] // 2
    rank, crowd = dominance.order_of_merit(losses, violations)
    assert (
        dominance.survivors(losses, violations, count).tolist()
        == np.lexsort((-crowd, rank))[:count].tolist()
    )


@settings(max_examples=60, deadline=None)
@given(rows=arrays(np.float64, (3, 3), elements=st.integers(0, 2).map(float)))
def test_constraint_domination_is_a_strict_partial_order(rows: NDArray[np.float64]) -> None:
    """Two losses and a violation a row; one point beats another where it ranks before it."""

    def beats(one: int, other: int) -> bool:
        pair = rows[[one, other]]
        rank, _ = dominance.order_of_merit(pair[:, :2], pair[:, 2])
        return bool(rank[0] < rank[1])

    for a, b, c in itertools.product(range(3), repeat=3):
        assert not beats(a, a)
        assert not (beats(a, b) and beats(b, a))
        assert beats(a, c) or not (beats(a, b) and beats(b, c))
        assert not (rows[a, 2] > 0 and rows[b, 2] == 0 and beats(a, b)), (
            "an infeasible point beats a feasible one"
        )
