"""NVDLA's own performance estimate of a layer, as published with the open design: an oracle for the
weight-stationary dataflow.

Vendor spreadsheet and primer, 2018. Channels round up to 16 after folding the stride into them,
filters to 128, or to 16 with a second memory interface; 3x3 layers may run as Winograd, with 2.25
times fewer products.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives.asic.tables import numbers, whole

Column = NDArray[np.float64]

ATOM = 16.0  # channels and filters of one memory atom
WINOGRAD_GAIN = 2.25


@dataclass(frozen=True, kw_only=True)
class NVDLA:
    """One configuration.

    Attributes:
        macs: INT8 multiply-accumulates a cycle.
        buffer_kilobytes: Convolution buffer.
        dram_bandwidth: GB/s at 1 GHz, so bytes a cycle.
        filter_rounding: 128, or 16 with a second memory interface.
    """

    macs: int = 2048
    buffer_kilobytes: float = 512.0
    dram_bandwidth: float = 10.0
    filter_rounding: int = 128

    def __post_init__(self) -> None:
        if (
            self.macs < 1
            or self.buffer_kilobytes <= 0
            or self.dram_bandwidth <= 0
            or self.filter_rounding < 1
        ):
            raise ValueError(
                f"an NVDLA needs MACs, a buffer, DRAM bandwidth and rounding above 0, got {self}"
            )


@dataclass(frozen=True, eq=False)
class Estimate:
    """(n,) each: cycles of the MAC array, DRAM traffic in kB of 1024 bytes, cycles of DRAM, and the
    greater of both.
    """

    mac_cycles: Column
    dram_kilobytes: Column
    dram_cycles: Column
    cycles: Column


def estimate(layers: Mapping[str, ArrayLike], chip: NVDLA) -> Estimate:
    """Cycles without the second memory interface's own limits.

    Args:
        layers: Columns C, H, W, K, R, S, same_pad (0 or 1), stride, fc_batch (16 for fully
            connected layers, else 1), winograd (0 or 1), output_kB (after fused pooling), and
            elementwise (1 where a residual is read and added).
    """
    C, H, W, K, R, S, s, batch = (
        whole("layers", name, layers[name])
        for name in ("C", "H", "W", "K", "R", "S", "stride", "fc_batch")
    )
    same, winograd, added = (
        numbers("layers", name, layers[name]) > 0
        for name in ("same_pad", "winograd", "elementwise")
    )
    out = numbers("layers", "output_kB", layers["output_kB"])
    folded = _up(C * s * s, ATOM)
    rows = np.where(same, np.ceil(H / s), np.ceil((H - R + 1) / s))
    columns = np.where(same, np.ceil(W / s), np.ceil((W - S + 1) / s))
    filters = _up(K * batch, chip.filter_rounding) / batch
    mac_cycles = (
        folded
        * rows
        * columns
        * filters
        * R
        * S
        / s**2
        / chip.macs
        / np.where(winograd, WINOGRAD_GAIN, 1.0)
    )

    across = np.ceil(W / s)
    inputs = folded * np.ceil(H / s) * across / 1024
    least_inputs = folded * np.minimum(R, np.ceil(H / s)) * across / 1024
    swelling = np.where(winograd, 16 / 9, 1.0)
    tap = folded * np.ceil(R / s) * np.ceil(S / s) * swelling / 1024
    weights, least_weights = tap * K, tap * 32
    least_weights = np.where(
        least_weights >= chip.buffer_kilobytes, chip.buffer_kilobytes / 2, least_weights
    )
    with np.errstate(divide="ignore"):
        input_sweeps = _sweeps(weights, chip.buffer_kilobytes - least_inputs)
        weight_sweeps = _sweeps(inputs, chip.buffer_kilobytes - least_weights)
    traffic = np.where(
        inputs >= weights, input_sweeps * inputs + weights, inputs + weight_sweeps * weights
    ) + out * (1 + added)
    dram_cycles = np.ceil(1000 * traffic / chip.dram_bandwidth)
    return Estimate(mac_cycles, traffic, dram_cycles, np.maximum(mac_cycles, dram_cycles))


def _up(values: Column, multiple: float) -> Column:
    return np.asarray(np.ceil(values / multiple) * multiple)


def _sweeps(needed: Column, room: Column) -> Column:
    """Counts how often the other operand streams past the part that fits; once a kilobyte-sized
    block where nothing fits.
    """
    return np.asarray(np.where(needed > room, np.ceil(needed / np.maximum(room, 1.0)), 1.0))
