"""Dominance on arrays, against hand-worked fronts."""

from __future__ import annotations

import numpy as np
import pytest

from evoray.pareto import dominance

POINTS = np.array([[1.0, 5.0], [2.0, 3.0], [4.0, 1.0], [3.0, 4.0], [5.0, 5.0], [2.0, 3.0]])


def test_ranks_of_a_hand_worked_set() -> None:
    assert dominance.ranks(POINTS).tolist() == [0, 0, 0, 1, 2, 0]


def test_ranks_of_one_objective_are_its_order() -> None:
    assert dominance.ranks(np.array([[3.0], [1.0], [3.0], [2.0]])).tolist() == [2, 0, 2, 1]


def test_crowding_is_infinite_at_the_ends_and_scaled_inside() -> None:
    losses = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])
    crowd = dominance.crowding(losses, dominance.ranks(losses))
    assert np.isinf(crowd[[0, 3]]).all()
    assert crowd[1] == pytest.approx(3 / 4 + 3 / 4)
    assert crowd[2] == pytest.approx(3 / 4 + 2 / 4)


def test_infeasible_points_come_after_feasible_ones_by_their_violation() -> None:
    rank, _ = dominance.order_of_merit(POINTS[:4], np.array([0.0, 2.0, 1.0, 0.0]))
    assert rank.tolist() == [0, 2, 1, 0]


def test_survivors_are_best_first_and_keep_the_ends() -> None:
    losses = np.array([[0.0, 4.0], [1.9, 2.1], [2.0, 2.0], [4.0, 0.0], [4.0, 4.0]])
    assert set(dominance.survivors(losses, np.zeros(5), 2).tolist()) == {0, 3}


def test_front_keeps_equal_points_and_leaves_out_the_infeasible() -> None:
    assert dominance.front(POINTS).tolist() == [0, 1, 2, 5]
    assert dominance.front(POINTS, np.array([0.0, 1.0, 0.0, 0.0, 0.0, 1.0])).tolist() == [0, 2, 3]
    assert len(dominance.front(np.zeros((0, 2)))) == 0


def test_hypervolume_of_two_boxes() -> None:
    assert dominance.hypervolume(
        np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([3.0, 3.0])
    ) == pytest.approx(3.0)
    assert dominance.hypervolume(np.zeros((0, 2)), np.array([3.0, 3.0])) == 0.0


def test_knee_bulges_most() -> None:
    assert dominance.knee(np.array([[0.0, 1.0], [0.2, 0.3], [1.0, 0.0]])) == 1


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="1 values that are not"):
        dominance.ranks(np.array([[0.0, np.nan]]))
