"""Cycles and traffic as a competent mapper would have them: partial sums and lines reused, DRAM
streamed, everything double-buffered.

Closed forms of this project for a rigid D1 x D2 array, one multiply-accumulate a unit and cycle, no
start-up artefact; checked against mappings that ZigZag (Mei et al. 2021,
doi:10.1109/TC.2021.3059962) searched. DRAM streaming follows the two rules of NVDLA's estimator and
a third, one pass an array-full of filters, so that traffic never grows with the buffer.
"""

# ruff: noqa: N803
# Capitals are the layer's letters, see maestro.py; D1 x D2 the array: filters x channels, rows x
# columns, filter rows x output rows.

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from objectives.asic.compiled import compiled, inlined

Traffic = tuple[
    float, float, float, float
]  # compute cycles, words from the buffer for inputs and for weights, words back for outputs

# The orders of tables.Layers.shape, Chips.shape and TEMPLATES. They stand here because compiled
# code kept on disk is renewed when its
# own file changes, not when another does.
_K, _C, _R, _S, _P, _Q, _STRIDE, _COUNT = range(8)
_PES, _BANDWIDTH, _, _D1, _D2, _BUFFER, _DRAM = range(7)
_DLA, _SHI = range(2)


@inlined
def tiles(n: float, t: float, s: float, f: float) -> float:
    """Input extent of n outputs in tiles of t, halo included."""
    count = math.ceil(n / t)
    last = n - (count - 1.0) * t
    return (count - 1.0) * ((t - 1.0) * s + f) + (last - 1.0) * s + f


@inlined
def dla(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    D1: float,
    D2: float,
    depthwise: bool,
    accumulators: float,
) -> Traffic:
    """Weights stay: filters over D1, channels over D2 with an adder tree; depthwise channels over
    D1 only.
    """
    filters, lanes = (1.0, C) if depthwise else (K, K)
    inputs = C * (S + (Q - 1.0) * min(s, S)) * (R + (P - 1.0) * min(s, R))
    weights, outputs = filters * C * R * S, lanes * P * Q
    channel_tiles = 1.0 if depthwise else math.ceil(C / D2)
    compute = math.ceil(lanes / D1) * channel_tiles * R * S * P * Q
    read = inputs if depthwise else math.ceil(K / D1) * inputs
    spilled = weights + outputs * (2.0 * channel_tiles - 1.0)
    striped = weights * math.ceil(P * Q / accumulators) + outputs
    if spilled <= striped:
        return compute, read, weights, spilled - weights
    return compute, read, striped - outputs, outputs


@inlined
def shi(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    D1: float,
    D2: float,
    depthwise: bool,
    accumulators: float,
) -> Traffic:
    """Outputs stay: rows over D1, columns over D2, weights broadcast."""
    filters = 1.0 if depthwise else K
    compute = filters * C * R * S * math.ceil(P / D1) * math.ceil(Q / D2)
    held = min(filters, accumulators)
    extent = tiles(P, min(D1, P), min(s, R), R) * tiles(Q, min(D2, Q), min(s, S), S)
    read = math.ceil(filters / held) * C * extent
    return (
        compute,
        read,
        filters * C * R * S * math.ceil(P / D1) * math.ceil(Q / D2),
        (C if depthwise else K) * P * Q,
    )


@inlined
def rs(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    D1: float,
    D2: float,
    depthwise: bool,
    weight_words: float,
    input_words: float,
    output_words: float,
) -> Traffic:
    """Rows stay: filter rows times filters over D1, output rows over D2."""
    items = C if depthwise else K
    rows = min(R, D1)
    groups = min(math.floor(D1 / rows), items)
    e = min(P, D2)
    passes = math.ceil(items / groups) * (1.0 if depthwise else C)
    compute = passes * math.ceil(R / rows) * math.ceil(P / e) * Q * S
    channels = max(1.0, math.floor(input_words / S))
    filters = max(1.0, min(output_words, math.floor(weight_words / (channels * S))))
    extent = tiles(P, e, min(s, R), R) * (S + (Q - 1.0) * min(s, S))
    weights, outputs = (1.0 if depthwise else K) * C * R * S, items * P * Q
    if depthwise:
        return compute, C * extent, weights * math.ceil(P / e), outputs
    read = math.ceil(K / (groups * filters)) * C * extent
    loaded = weights * math.ceil(P / e)
    spilled = loaded + outputs * (2.0 * math.ceil(C / channels) - 1.0)
    striped = loaded * math.ceil(Q / max(1.0, math.floor(output_words / filters))) + outputs
    if spilled <= striped:
        return compute, read, loaded, spilled - loaded
    return compute, read, striped - outputs, outputs


@inlined
def streamed(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    D1: float,
    depthwise: bool,
    capacity: float,
) -> tuple[float, float]:
    """Words from and to DRAM, and words that must arrive before the first MAC."""
    filters, lanes = (1.0, C) if depthwise else (K, K)
    columns = S + (Q - 1.0) * min(s, S)
    inputs = C * columns * (R + (P - 1.0) * min(s, R))
    weights, outputs = filters * C * R * S, lanes * P * Q
    first_rows = C * R * columns
    first_weights = R * S * min(C, D1) if depthwise else C * R * S * min(K, D1)
    least = inputs * math.ceil(filters / D1) + weights
    if capacity > first_rows:
        least = min(
            least, weights + inputs * max(1.0, math.ceil(weights / (capacity - first_rows)))
        )
    if capacity > first_weights:
        least = min(
            least, inputs + weights * max(1.0, math.ceil(inputs / (capacity - first_weights)))
        )
    return least + outputs, first_rows + first_weights


@compiled
def physical_pairs(
    shape: NDArray[np.float64],
    depthwise: NDArray[np.int8],
    chips: NDArray[np.float64],
    template: NDArray[np.int8],
    energies: NDArray[np.float64],
    registers: NDArray[np.float64],
    grid: bool,
    out: NDArray[np.float64],
) -> None:
    """Prices pairs as `maestro_pairs` does, but every template maps every layer."""
    lanes, weight_words, input_words, output_words = (
        registers[0],
        registers[1],
        registers[2],
        registers[3],
    )
    for row in range(out.shape[1]):
        N, B, D1, D2 = chips[_PES, row], chips[_BANDWIDTH, row], chips[_D1, row], chips[_D2, row]
        capacity, dram_bandwidth = chips[_BUFFER, row], chips[_DRAM, row]
        l2_energy = energies[2] + energies[3] * math.sqrt(capacity / 1024.0)
        kind = template[row]
        for column in range(out.shape[2]):
            at = column if grid else row
            K, C, R, S = shape[_K, at], shape[_C, at], shape[_R, at], shape[_S, at]
            P, Q, s, times = shape[_P, at], shape[_Q, at], shape[_STRIDE, at], shape[_COUNT, at]
            dw = depthwise[at] == 1
            if kind == _DLA:
                figures = dla(K, C, R, S, P, Q, s, D1, D2, dw, lanes)
            elif kind == _SHI:
                figures = shi(K, C, R, S, P, Q, s, D1, D2, dw, lanes)
            else:
                figures = rs(
                    K, C, R, S, P, Q, s, D1, D2, dw, weight_words, input_words, output_words
                )
            compute, inputs, weights, outputs = figures
            words, first = streamed(K, C, R, S, P, Q, s, D1, dw, capacity)
            macs = K * C * R * S * P * Q
            bound = max(compute, (inputs + weights) / B, outputs / B, words / dram_bandwidth)
            cycles = math.ceil(bound + first / dram_bandwidth)
            l1 = 4.0 * macs + inputs + weights
            energy = (
                energies[0] * macs
                + energies[1] * l1
                + l2_energy * (inputs + weights + outputs + words)
                + energies[4] * words
            )
            out[0, row, column] = times * cycles
            out[1, row, column] = times * energy
            out[2, row, column] = macs / (cycles * N)
            out[3, row, column] = times * inputs
            out[4, row, column] = times * weights
            out[5, row, column] = times * outputs
            out[6, row, column] = times * 3.0 * macs
            out[7, row, column] = times * (macs + inputs + weights)
            out[8, row, column] = times * words
