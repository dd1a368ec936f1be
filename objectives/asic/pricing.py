"""Prices (layer, accelerator) pairs: cycles, energy, utilisation, area and traffic, millions a second on one core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

import objectives.asic.constants as sets
from objectives.asic.constants import Constants
from objectives.asic.maestro import maestro_pairs
from objectives.asic.physical import physical_pairs
from objectives.asic.tables import AREA, Chips, Column, Layers, Table, chips_of, layers_of

TRAFFIC = ("l2_read_input", "l2_read_weight", "l2_write_output", "l1_read", "l1_write", "dram")
_OUTPUTS = 3 + len(TRAFFIC)


@dataclass(frozen=True, eq=False)
class Prices:
    """What pairs cost; also read as `prices["cycles"]`.

    Attributes:
        cycles: Latency in cycles; inf where the template cannot map the layer (row stationary with fewer units than kernel rows).
        energy: In the constants' `energy_unit`; inf there too.
        utilization: MACs over cycles x units, in (0, 1]; 0 there.
        area: um2 of the accelerator, whatever the layer.
        traffic: Words by path: "l2_read_input", "l2_read_weight", "l2_write_output", "l1_read", "l1_write", "dram" (to and from).
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
        layers: Columns of equal length: type ("CONV", or "DWCONV" with K = 1), K, C, R, S, OY, OX, stride; count if wanted.
        chips: Columns of the same length: template ("dla", "shi", "rs"), pes, noc_bw_elem_per_cycle, noc_scope ("none", "top", "all");
            more that may be there: see `tables.chips_of`.
        constants: The name of a set of `constants.toml`, or one of your own. The set's mode decides whose rule counts cycles.

    Returns:
        (n,) arrays.

    Raises:
        ValueError: A column is missing, of another length, or holds what cannot be.
    """
    chosen = sets.load(constants) if isinstance(constants, str) else constants
    found, machines = layers_of(layers), chips_of(chips, chosen)
    if len(found) != len(machines):
        raise ValueError(
            f"{len(found)} layers and {len(machines)} chips: price() takes row i of one with row i of the other; for all pairs use price_grid()"
        )
    return _prices(found, machines, chosen, grid=False)


def price_grid(layers: Table, chips: Table, *, constants: str | Constants = "maestro2019") -> Prices:
    """Every layer on every chip: arrays (chips, layers), otherwise as `price`; area (chips,)."""
    chosen = sets.load(constants) if isinstance(constants, str) else constants
    return _prices(layers_of(layers), chips_of(chips, chosen), chosen, grid=True)


def _prices(layers: Layers, chips: Chips, constants: Constants, *, grid: bool) -> Prices:
    out = np.empty((_OUTPUTS, len(chips), len(layers)) if grid else (_OUTPUTS, len(layers), 1))
    energies = np.array(
        [constants.mac_energy, constants.l1_energy, constants.l2_energy, constants.l2_energy_per_root, constants.dram_energy]
    )
    registers = np.array([constants.accumulators, constants.weight_words, constants.input_words, constants.output_words])
    arguments = (layers.shape, layers.depthwise, chips.shape, chips.template, energies)
    if constants.mode == "maestro":
        maestro_pairs(*arguments, grid, out)
    else:
        physical_pairs(*arguments, registers, grid, out)
    columns = list(out) if grid else [column[:, 0] for column in out]
    traffic = dict(zip(TRAFFIC, columns[3:], strict=True))
    return Prices(columns[0], columns[1], columns[2], chips.shape[AREA].copy(), traffic)
