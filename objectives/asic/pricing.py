"""Prices (layer, accelerator) pairs: cycles, energy, utilisation, area and traffic, millions a
second on one core.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import objectives.asic.constants as sets
from objectives.asic.constants import Constants
from objectives.asic.maestro import maestro_pairs
from objectives.asic.physical import physical_pairs
from objectives.asic.tables import (
    AREA,
    Chips,
    Column,
    Layers,
    Table,
    chips_of,
    layers_of,
    size_of_chips,
    size_of_layers,
)

TRAFFIC = ("l2_read_input", "l2_read_weight", "l2_write_output", "l1_read", "l1_write", "dram")
_OUTPUTS = 3 + len(TRAFFIC)
_ROWS = 1 << 13  # checked and priced at a time: their columns then stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Prices:
    """Cost of each (layer, accelerator) pair; also read as `prices["cycles"]`.

    Attributes:
        cycles: Latency in cycles; inf where the template cannot map the layer (row stationary with
            fewer units than kernel rows).
        energy: Energy in the constants' `energy_unit`; inf there too.
        utilization: MACs over cycles x units, in (0, 1]; 0 there.
        area: um2 of the accelerator, whatever the layer.
        traffic: Words by path: "l2_read_input", "l2_read_weight", "l2_write_output", "l1_read",
            "l1_write", "dram" (to and from).
    """

    cycles: Column
    energy: Column
    utilization: Column
    area: Column
    traffic: Mapping[str, Column]

    def __getitem__(self, name: str) -> Column | Mapping[str, Column]:
        found: Column | Mapping[str, Column] = getattr(self, name)
        return found


def price(layers: Table, chips: Table, *, constants: str | Constants = "maestro2019") -> Prices:
    """Row i of `layers` on row i of `chips`.

    Args:
        layers: Columns of equal length: type ("CONV", or "DWCONV" with K = 1), K, C, R, S, OY, OX,
            stride; count if wanted.
        chips: Columns of the same length: template ("dla", "shi", "rs"), pes,
            noc_bw_elem_per_cycle, noc_scope ("none", "top", "all"); more that may be there: see
            `tables.chips_of`.
        constants: The name of a set of `constants.toml`, or one of your own. The set's mode decides
            whose rule counts cycles.

    Returns:
        (n,) arrays.

    Raises:
        ValueError: A column is missing, of another length, or holds what cannot be.
    """
    chosen = sets.load(constants) if isinstance(constants, str) else constants
    size, machines = size_of_layers(layers), size_of_chips(chips)
    if size != machines:
        raise ValueError(
            f"{size} layers and {machines} chips: price() takes row i of one with row i of the "
            "other; for all pairs use price_grid()"
        )
    rows, units = (
        {name: np.asarray(column) for name, column in table.items()} for table in (layers, chips)
    )
    out, area = _room(size, 1), np.empty(size)
    for start in range(0, size, _ROWS):
        part = slice(start, start + _ROWS)
        try:
            found, machine = (
                layers_of({n: c[part] for n, c in rows.items()}),
                chips_of({n: c[part] for n, c in units.items()}, chosen),
            )
        except ValueError:
            layers_of(rows)  # says the same with the row's number in the whole table
            chips_of(units, chosen)
            raise
        _fill(found, machine, chosen, grid=False, out=out[:, part])
        area[part] = machine.shape[AREA]
    return _prices(out[:, :, 0], area)


def price_grid(
    layers: Table, chips: Table, *, constants: str | Constants = "maestro2019"
) -> Prices:
    """Every layer on every chip: arrays (chips, layers), otherwise as `price`; area (chips,)."""
    chosen = sets.load(constants) if isinstance(constants, str) else constants
    found, machines = layers_of(layers), chips_of(chips, chosen)
    out = _room(len(machines), len(found))
    _fill(found, machines, chosen, grid=True, out=out)
    return _prices(out, machines.shape[AREA].copy())


def _room(rows: int, columns: int) -> Column:
    """Cut from a larger array, so that compiled code sees one memory layout for all sizes and is
    compiled once.
    """
    return np.empty((_OUTPUTS, rows + 1, columns))[:, :rows]


def _prices(out: Column, area: Column) -> Prices:
    cycles, energy, utilization, *words = out
    return Prices(cycles, energy, utilization, area, dict(zip(TRAFFIC, words, strict=True)))


def _fill(layers: Layers, chips: Chips, constants: Constants, *, grid: bool, out: Column) -> None:
    energies = np.array(
        [
            constants.mac_energy,
            constants.l1_energy,
            constants.l2_energy,
            constants.l2_energy_per_root,
            constants.dram_energy,
        ]
    )
    registers = np.array(
        [
            constants.accumulators,
            constants.weight_words,
            constants.input_words,
            constants.output_words,
        ]
    )
    arguments = (layers.shape, layers.depthwise, chips.shape, chips.template, energies)
    if constants.mode == "maestro":
        maestro_pairs(*arguments, grid, out)
    else:
        physical_pairs(*arguments, registers, grid, out)
