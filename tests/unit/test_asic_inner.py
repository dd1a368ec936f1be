"""The inner chip search: what it returns is what trying every chip of the grid returns."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

import searchspaces
from objectives import asic
from objectives.asic.inner import DIRECTIONS, ChipSearch
from objectives.asic.specs import Specs
from searchspaces import bignas
from searchspaces.base import Choices
from searchspaces.nasaic.hardware import Hardware
from searchspaces.parts.product import Product

SMALL = Hardware(most_units=160, most_bandwidth=24)


def joint(chip: Hardware = SMALL) -> Product:
    space: Any = searchspaces.load("nasaic:digits")
    return dataclasses.replace(space, parts=(*space.parts[:-1], chip))


def drawn(space: Any, count: int, seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    return space.repair(
        np.stack(
            [rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1
        ).astype(np.int16)
    )


def every_chip(space: Product, row: Choices) -> Choices:
    """The row's networks with every chip there is."""
    chip: Any = space.parts[-1]
    slots = [(0, 0, 0), *map(tuple, chip.singles().tolist())]
    rows = np.array(
        [sum(pair, ()) for pair in itertools.product(slots, repeat=chip.num_slots)], dtype=np.int16
    )
    legal = np.unique(chip.repair(rows), axis=0)
    networks = row[: len(row) - legal.shape[1]]
    return np.concatenate([np.tile(networks, (len(legal), 1)), legal], axis=1)


def costs(model: Any, rows: Choices) -> np.ndarray:
    found = model.costs(rows)
    return np.stack([found.latency, found.energy, found.area], axis=1)


def model_of(space: Product, specs: Specs) -> Any:
    return asic.build(space, "latency", latency_limit=specs.latency).model


SPECS = Specs(latency=2e4, energy=9e6, area=1e7)


@pytest.mark.parametrize(
    "chip",
    [
        SMALL,
        dataclasses.replace(SMALL, same_dataflow=True),
        dataclasses.replace(SMALL, num_slots=1),
    ],
)
def test_the_best_chips_are_those_of_trying_all(chip: Hardware) -> None:
    space = joint(chip)
    model = model_of(space, SPECS)
    inner = ChipSearch(model, SPECS)
    limits = np.array([SPECS.latency, SPECS.energy, SPECS.area])
    num_feasible = 0
    for row in drawn(space, 12, 3):
        rows = every_chip(space, row)
        values = costs(model, rows) / limits
        met = (values <= 1).all(axis=1)
        found = inner(row[None])[0]
        assert bool(len(found)) == met.any()
        if not len(found):
            continue
        num_feasible += 1
        own = costs(model, found) / limits
        assert (own <= 1).all()
        assert np.array_equal(space.repair(found), found)
        assert (found[:, : -len(chip.genes)] == row[: -len(chip.genes)]).all()
        for direction in DIRECTIONS:
            assert (own @ direction).min() == pytest.approx(
                (values[met] @ direction).min(), rel=1e-12
            )
    assert 0 < num_feasible < 12
    assert inner.num_networks == 12
    assert inner.num_infeasible == 12 - num_feasible
    assert inner.num_unproven == 0


def test_networks_are_searched_once_and_early_ends_are_counted() -> None:
    space = joint()
    inner = ChipSearch(model_of(space, SPECS), SPECS, most_priced=1)
    row = drawn(space, 1, 3)
    other = row.copy()
    other[:, -3:] = 0
    assert np.array_equal(inner(row)[0], inner(space.repair(other))[0])
    assert inner.num_networks == 1


def test_specs_that_nothing_meets_leave_nothing() -> None:
    space = joint()
    specs = Specs(latency=1.0)
    inner = ChipSearch(model_of(space, specs), specs)
    assert inner(drawn(space, 3))[0].shape == (0, len(space.genes))
    assert inner.num_infeasible == 3


def test_spaces_without_a_chip_of_two_slots_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"one chip of 1 or 2 slots, got 'bignas:digits' with none"
    ):
        ChipSearch(asic.build(bignas.build("digits")).model, SPECS)
    with pytest.raises(ValueError, match=r"with \[3\]"):
        ChipSearch(model_of(joint(Hardware(num_slots=3)), SPECS), SPECS)
    with pytest.raises(ValueError, match="needs a direction"):
        ChipSearch(model_of(joint(), SPECS), SPECS, directions=())


def test_homogeneous_chips_have_one_dataflow() -> None:
    chip = Hardware(same_dataflow=True)
    rows = chip.repair(
        np.random.default_rng(0).integers(0, [4, 129, 9] * 2, (500, 6)).astype(np.int16)
    )
    assert np.array_equal(chip.repair(rows), rows)
    assert all(len({dataflow for dataflow, _, _ in slots}) == 1 for slots in chip.slots_of(rows))
