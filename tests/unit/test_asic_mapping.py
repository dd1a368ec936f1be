"""Mapping layers onto heterogeneous sub-accelerators: valid schedules, and the ratio heuristic
beside exact enumeration.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from objectives.asic.mapping import Mapping, map_exactly, map_layers
from objectives.asic.specs import WORKLOADS, Specs, reward

Floats = NDArray[np.float64]


def instances(count: int, units: int, tasks: list[int], seed: int) -> tuple[Floats, Floats, Floats]:
    """Random latencies, energies, and limits between what is impossible and what costs nothing."""
    rng = np.random.default_rng(seed)
    shape = (count, units, sum(tasks))
    latency, energy = (
        rng.integers(1, 100, shape).astype(float),
        rng.integers(1, 100, shape).astype(float),
    )
    limits = map_layers(latency, energy, tasks).makespan * rng.uniform(0.4, 1.1, count)
    return latency, energy, np.round(limits)


def chains(tasks: list[int]) -> list[range]:
    ends = np.cumsum([0, *tasks])
    return [range(ends[i], ends[i + 1]) for i in range(len(tasks))]


def check_schedule(mapping: Mapping, latency: Floats, energy: Floats, tasks: list[int]) -> None:
    for chip in range(len(latency)):
        units, start = mapping.assignment[chip], mapping.start[chip]
        layers = np.arange(latency.shape[2])
        taken = latency[chip, units, layers]
        end = start + taken
        for chain in chains(tasks):
            assert all(start[b] >= end[a] for a, b in itertools.pairwise(chain))
        for unit in range(latency.shape[1]):
            own = sorted((start[i], end[i]) for i in layers[units == unit])
            assert all(b[0] >= a[1] for a, b in itertools.pairwise(own))
        assert mapping.makespan[chip] == end.max()
        assert (
            mapping.energy[chip]
            == energy[chip, units, layers].sum()
            >= energy[chip].min(axis=0).sum()
        )
        least = latency[chip].min(axis=0)
        assert mapping.makespan[chip] >= max(least[list(chain)].sum() for chain in chains(tasks))
        assert mapping.makespan[chip] >= least.sum() / latency.shape[1]


@pytest.mark.parametrize(("units", "tasks"), [(2, [5, 4]), (3, [3, 2, 4]), (2, [8]), (1, [3, 3])])
def test_schedules_are_valid(units: int, tasks: list[int]) -> None:
    latency, energy, limits = instances(60, units, tasks, 0)
    check_schedule(map_layers(latency, energy, tasks, limit=limits), latency, energy, tasks)
    check_schedule(
        map_exactly(latency[:10], energy[:10], tasks, limit=limits[:10]),
        latency[:10],
        energy[:10],
        tasks,
    )


def test_one_sub_accelerator_runs_everything_in_any_order() -> None:
    latency, energy, _ = instances(20, 1, [4, 5], 1)
    for tasks in ([4, 5], [9], [1] * 9):
        found = map_layers(latency, energy, tasks)
        assert found.makespan.tolist() == latency.sum(axis=(1, 2)).tolist()
        assert found.energy.tolist() == energy.sum(axis=(1, 2)).tolist()


def test_the_order_of_equal_sub_accelerators_does_not_matter() -> None:
    latency, energy, _ = instances(40, 1, [4, 4], 2)
    latency, energy = np.repeat(latency, 2, axis=1), np.repeat(energy, 2, axis=1)
    limits = latency[:, 0].sum(axis=1) * 0.7
    there, back = (
        map_layers(latency[:, order], energy[:, order], [4, 4], limit=limits)
        for order in ([0, 1], [1, 0])
    )
    assert there.makespan.tolist() == back.makespan.tolist()
    assert there.energy.tolist() == back.energy.tolist()


def test_the_heuristic_is_never_better_than_trying_everything_and_seldom_much_worse() -> None:
    tasks = [5, 5]
    latency, energy, limits = instances(200, 2, tasks, 3)
    quick, exact = (
        map_layers(latency, energy, tasks, limit=limits),
        map_exactly(latency, energy, tasks, limit=limits),
    )
    assert (exact.feasible | ~quick.feasible).all()
    both = quick.feasible & exact.feasible
    assert both.sum() > 100
    gap = quick.energy[both] / exact.energy[both] - 1
    assert gap.min() >= 0
    assert gap.mean() < 0.05
    assert (quick.makespan[~exact.feasible] >= exact.makespan[~exact.feasible]).all()


def test_least_energy_is_kept_where_it_meets_the_limit() -> None:
    tasks = [5, 5]
    latency, energy, _ = instances(200, 2, tasks, 4)
    free = map_layers(latency, energy, tasks)
    again = map_layers(latency, energy, tasks, limit=free.makespan)
    assert free.energy.tolist() == energy.min(axis=1).sum(axis=1).tolist()
    assert np.array_equal(again.assignment, free.assignment)
    assert free.feasible.all()


def test_a_larger_limit_never_costs_energy_in_the_exact_reference() -> None:
    tasks = [4, 4]
    latency, energy, limits = instances(60, 2, tasks, 5)
    found = [
        map_exactly(latency, energy, tasks, limit=limits * factor)
        for factor in (1.0, 1.2, 1.5, 2.5)
    ]
    for tight, loose in itertools.pairwise(found):
        assert (loose.feasible | ~tight.feasible).all()
        both = tight.feasible
        assert (loose.energy[both] <= tight.energy[both]).all()


def test_another_sub_accelerator_never_worsens_the_exact_reference() -> None:
    """One more unit leaves the old assignments in place; the heuristic is exempt, and says how
    often it is worse.
    """
    tasks = [4, 3]
    latency, energy, limits = instances(60, 3, tasks, 6)
    two, three = (map_exactly(latency[:, :k], energy[:, :k], tasks, limit=limits) for k in (2, 3))
    assert (three.feasible | ~two.feasible).all()
    assert (three.energy[two.feasible] <= two.energy[two.feasible]).all()
    quick = [map_layers(latency[:, :k], energy[:, :k], tasks, limit=limits) for k in (2, 3)]
    both = quick[0].feasible & quick[1].feasible
    worse = float((quick[1].energy[both] > quick[0].energy[both]).mean())
    print(
        f"heuristic with a third sub-accelerator spends more energy in {worse:.1%} of {both.sum()} "
        "instances"
    )
    assert worse < 0.2


def test_the_longer_chain_goes_first_and_nobody_waits_for_what_is_not_ready() -> None:
    # Both tasks begin on unit 0; task 1 has more left, so it goes first. Hand-worked.
    latency = np.array([[[2.0, 3.0, 3.0], [np.inf, np.inf, 6.0]]])
    energy = np.array([[[1.0, 1.0, 9.0], [np.inf, np.inf, 1.0]]])
    found = map_layers(latency, energy, [1, 2])
    assert found.assignment.tolist() == [[0, 0, 1]]
    assert found.start.tolist() == [[3.0, 0.0, 3.0]]
    assert (found.makespan[0], found.energy[0]) == (9.0, 3.0)
    # Within 8 cycles the last layer must come to unit 0: 3 + 3, still before task 0, which then
    # ends at 8.
    tight = map_layers(latency, energy, [1, 2], limit=8.0)
    assert tight.assignment.tolist() == [[0, 0, 0]]
    assert tight.start.tolist() == [[6.0, 0.0, 3.0]]
    assert (tight.makespan[0], tight.energy[0], tight.feasible[0]) == (8.0, 11.0, True)
    assert not map_layers(latency, energy, [1, 2], limit=7.0).feasible[0]


def test_a_layer_that_fits_nowhere_is_recorded_and_others_go_on() -> None:
    latency, energy, _ = instances(3, 2, [2, 2], 7)
    latency[1, :, 2] = energy[1, :, 2] = np.inf
    latency[2, 0, 2] = energy[2, 0, 2] = np.inf
    for found in (map_layers(latency, energy, [2, 2]), map_exactly(latency, energy, [2, 2])):
        assert found.feasible.tolist() == [True, False, True]
        assert (found.makespan[1], found.energy[1]) == (np.inf, np.inf)
        assert found.assignment[1].tolist() == [-1] * 4
        assert found.assignment[2, 2] == 1


def test_bad_instances_are_refused() -> None:
    latency, energy, _ = instances(2, 2, [3, 3], 8)
    with pytest.raises(ValueError, match="add up to 6, got \\[3, 4\\]"):
        map_layers(latency, energy, [3, 4])
    with pytest.raises(ValueError, match="got shapes"):
        map_layers(latency, energy[:1], [3, 3])
    with pytest.raises(ValueError, match="not be negative or NaN"):
        map_layers(-latency, energy, [3, 3])
    with pytest.raises(ValueError, match="infinite together"):
        map_layers(np.full_like(latency, np.inf), energy, [3, 3])
    with pytest.raises(ValueError, match="use map_layers"):
        map_exactly(np.ones((1, 2, 21)), np.ones((1, 2, 21)), [21])
    with pytest.raises(ValueError, match="limit must not be NaN"):
        map_layers(latency, energy, [3, 3], limit=np.nan)


SPECS = Specs(latency=8e5, energy=2e9, area=4e9)
BOUNDS = {"latency": 2e6, "energy": 6e9, "area": 8e9}


def values(latency: float = 8e5, energy: float = 2e9, area: float = 4e9) -> dict[str, Floats]:
    return {"latency": np.array([latency]), "energy": np.array([energy]), "area": np.array([area])}


def test_penalties_are_zero_at_the_specs_and_one_a_metric_at_its_bound() -> None:
    assert SPECS.penalty(values(), BOUNDS)[0] == 0.0
    assert SPECS.penalty(values(1.0, 1.0, 1.0), BOUNDS)[0] == 0.0
    for name, bound in BOUNDS.items():
        assert SPECS.penalty(values(**{name: bound}), BOUNDS)[0] == 1.0
    assert SPECS.penalty(values(2e6, 6e9, 8e9), BOUNDS)[0] == 3.0
    assert SPECS.not_binding({**BOUNDS, "area": 3e9}) == ("area",)
    assert SPECS.penalty(values(area=5e9), {**BOUNDS, "area": 3e9})[0] == 0.0


def test_penalty_and_violation_are_zero_exactly_where_specs_hold_and_grow_with_each_metric() -> (
    None
):
    rng = np.random.default_rng(0)
    drawn = {name: bound * rng.uniform(0, 1, 2000) for name, bound in BOUNDS.items()}
    met = SPECS.met(drawn)
    assert 0 < met.sum() < 2000
    assert ((SPECS.penalty(drawn, BOUNDS) == 0) == met).all()
    assert ((SPECS.violation(drawn) == 0) == met).all()
    for name in BOUNDS:
        more = {**drawn, name: drawn[name] * 1.1}
        assert (SPECS.penalty(more, BOUNDS) >= SPECS.penalty(drawn, BOUNDS)).all()
        assert (SPECS.violation(more) >= SPECS.violation(drawn)).all()


def test_the_reward_is_the_accuracy_less_ten_penalties() -> None:
    accuracy, penalty = np.array([0.9, 0.8]), np.array([0.0, 0.3])
    assert reward(accuracy, penalty).tolist() == pytest.approx([0.9, 0.8 - 3.0])
    assert (reward(accuracy, penalty) <= accuracy).all()
    assert reward(accuracy, penalty, rho=0.0).tolist() == accuracy.tolist()


def test_specs_that_nothing_meets_name_the_nearest_that_something_does() -> None:
    drawn = {
        "latency": np.array([9e5, 7e5]),
        "energy": np.array([2.1e9, 5e9]),
        "area": np.array([3e9, 3e9]),
    }
    nearest = SPECS.nearest_met(drawn)
    assert nearest == Specs(latency=9e5, energy=2.1e9, area=4e9)
    assert nearest.met(drawn).tolist() == [True, False]
    with pytest.raises(ValueError, match="nothing can be near"):
        SPECS.nearest_met({name: np.array([np.inf]) for name in BOUNDS})
    with pytest.raises(ValueError, match="a spec must be above 0, got latency 0"):
        Specs(latency=0)


def test_the_published_rows_of_the_first_workload_keep_their_factors() -> None:
    """Table I of arXiv:2002.04116 against its abstract: 17.77 %, 2.49x, 2.32x, and its own
    specs.
    """
    first, joint = values(9.45e5, 3.56e9, 4.71e9), values(7.77e5, 1.43e9, 2.03e9)
    assert 1 - joint["latency"][0] / first["latency"][0] == pytest.approx(0.1777, abs=2e-4)
    assert first["energy"][0] / joint["energy"][0] == pytest.approx(2.49, abs=5e-3)
    assert first["area"][0] / joint["area"][0] == pytest.approx(2.32, abs=5e-3)
    assert WORKLOADS["W1"].met(joint)[0]
    assert not WORKLOADS["W1"].met(first)[0]


def test_layers_that_a_padded_table_lacks_hold_nobody_up() -> None:
    """Zero cycles everywhere: schedules are those of the layers that are there."""
    rng = np.random.default_rng(4)
    for _ in range(40):
        latency, energy = (
            rng.integers(1, 20, (1, 2, 6)).astype(float),
            rng.integers(1, 20, (1, 2, 6)).astype(float),
        )
        limit = float(latency.min(axis=1).sum()) * rng.uniform(0.5, 1.2)
        bare = map_layers(latency, energy, [3, 3], limit=limit)
        places = [0, 2, 3, 5, 6, 9]
        padded = [np.zeros((1, 2, 10)) for _ in range(2)]
        for whole, part in zip(padded, (latency, energy), strict=True):
            whole[:, :, places] = part
        found = map_layers(*padded, [5, 5], limit=limit)
        assert found.makespan.tolist() == bare.makespan.tolist()
        assert found.energy.tolist() == bare.energy.tolist()
        assert found.assignment[:, places].tolist() == bare.assignment.tolist()
