"""MAESTRO's rule in closed form: cycles and L2 traffic of one layer under its stock mappings,
iteration case by iteration case.

Kwon et al. 2019, arXiv:1805.02566; the tool's revision of August 2022. The outermost cluster level
runs through its loops; an iteration costs the greatest of compute, ingress and egress delay, the
very first one ingress plus compute. Delay of n words is ceil(n / bandwidth) cycles, at least one.
What an iteration fetches depends on the innermost loop that has just moved: that dimension brings
what is new, tensors it does not index stay, loops inside it start again. So a layer falls into a
few classes of equal iterations, and the run time is a sum over classes.

Kept from the tool because its numbers carry it: an input is not fetched again when only the
output-channel loop moves, the last tile of channels is fetched and computed padded, where an array
is larger than the channels the last unit's result is not written, and `rs_flat` writes an output
row a stride for each unit.
"""

# ruff: noqa: N803
# Capitals are the layer's letters: K, C channels out and in, R, S kernel, P, Q output rows and
# columns.

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from objectives.asic.compiled import compiled, inlined

Figures = tuple[
    float, float, float, float
]  # cycles, words read for inputs and for weights, words written for outputs

CHANNELS_PER_CLUSTER = 64.0  # of the stock NVDLA-like mapping
FILTERS_PER_TILE = 16.0  # of the row-stationary mappings

# The orders of tables.Layers.shape, Chips.shape and TEMPLATES. They stand here because compiled
# code kept on disk is renewed when its
# own file changes, not when another does.
_K, _C, _R, _S, _P, _Q, _STRIDE, _COUNT = range(8)
_PES, _BANDWIDTH, _INNER = range(3)
_DLA, _SHI, _RS, _SHI8, _RS_FLAT = range(5)


@inlined
def delay(words: float, bandwidth: float) -> float:
    """Cycles of one transfer over a network with hop latency 1."""
    return max(math.ceil(words / bandwidth), 1.0)


@inlined
def written(count: float, units: float) -> float:
    """Number of results that the tool writes back, of `count` results on `units` units."""
    return count - 1.0 if 1.0 < count < units else count


@inlined
def dla(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    N: float,
    B: float,
    B_inner: float,
) -> Figures:
    """NVDLA-like: output channels over clusters, 64 input channels inside one."""
    width = min(CHANNELS_PER_CLUSTER, N)
    clusters = math.floor(N / width)
    RS = R * S
    channels = min(C, width)
    K_tiles, C_tiles = math.ceil(K / clusters), math.ceil(C / width)
    K_full, K_rest = math.floor(K / clusters), K % clusters
    first_is_rest = K_full == 0.0
    compute = RS + delay(2.0 * channels * RS, B_inner)
    row = channels * (R if Q > 1.0 else min(R, s)) * S
    column_delay, row_delay = delay(channels * R * min(S, s), B), delay(row, B)
    cycles = 0.0
    for part in range(2):
        count, active = (K_full, clusters) if part == 0 else (1.0 if K_rest > 0.0 else 0.0, K_rest)
        if count == 0.0:
            continue
        out = delay(written(active, clusters), B)
        tile = max(delay(channels * RS * (1.0 + active), B), out)
        here = max(compute, out)
        image = P * (Q - 1.0) * max(here, column_delay) + (P - 1.0) * max(here, row_delay)
        cycles += count * (C_tiles * image + (C_tiles - 1.0) * max(here, tile))
        starts = 1.0 if (part == 1) == first_is_rest else 0.0
        cycles += (count - starts) * max(here, delay(channels * RS * active, B))
        cycles += starts * (compute + delay(channels * RS * (1.0 + active), B))
    inputs = (
        K_tiles
        * C_tiles
        * (channels * P * (Q - 1.0) * R * min(S, s) + (P - 1.0) * row + channels * RS)
        - (K_tiles - 1.0) * channels * RS
    )
    outputs = (written(K, clusters) if first_is_rest else K) * P * Q * C_tiles
    return cycles, inputs, K * channels * C_tiles * RS, outputs


@inlined
def dla_depthwise(
    C: float, R: float, S: float, P: float, Q: float, s: float, N: float, B: float
) -> Figures:
    """The stock depthwise mapping: channels over all units, one level."""
    RS = R * S
    full, rest = math.floor(C / N), C % N
    column, row = R * min(S, s), (R if Q > 1.0 else min(R, s)) * S
    cycles = 0.0
    for part in range(2):
        count, active = (full, N) if part == 0 else (1.0 if rest > 0.0 else 0.0, rest)
        if count == 0.0:
            continue
        here = max(RS, delay(written(active, N), B))
        first = delay(2.0 * active * RS, B)
        cycles += count * (
            P * (Q - 1.0) * max(here, delay(active * column, B))
            + (P - 1.0) * max(here, delay(active * row, B))
        )
        starts = 1.0 if (part == 1) == (full == 0.0) else 0.0
        cycles += (count - starts) * max(here, first) + starts * (RS + first)
    inputs = C * (P * (Q - 1.0) * column + (P - 1.0) * row + RS)
    return cycles, inputs, C * RS, (written(C, N) if full == 0.0 else C) * P * Q


@inlined
def shi(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    N: float,
    B: float,
    B_inner: float,
    widest: float,
) -> Figures:
    """ShiDianNao-like: output rows over clusters, up to `widest` columns inside one; K is 1 for
    depthwise layers.
    """
    width = max(1.0, min(widest, Q))
    rows = math.floor(N / width)
    RS, new_rows = R * S, min(R, s)
    Q_full, Q_rest = math.floor(Q / width), Q % width
    P_full, P_rest = math.floor(P / rows), P % rows
    span = (width - 1.0) * s + S
    new_span = min(span, width * s)
    compute = RS + delay((width + 1.0) * RS, B_inner)
    one_tile = width >= Q
    cycles, inputs = 0.0, 0.0
    for part in range(2):
        count, active = (P_full, rows) if part == 0 else (1.0 if P_rest > 0.0 else 0.0, P_rest)
        if count == 0.0:
            continue
        out, moved = delay(active * width, B), active * R * new_span
        moved_delay = delay(moved, B)
        here = max(compute, out)
        per_tile = (Q_full - 1.0) * max(here, moved_delay)
        words = (Q_full - 1.0) * moved
        if Q_rest > 0.0:
            per_tile += max(compute, moved_delay, delay(active * Q_rest, B))
            words += moved
        starts = 1.0 if (part == 1) == (P_full == 0.0) else 0.0
        down = (R + (active - 1.0) * new_rows if one_tile else active * R) * span
        cycles += K * C * (count * per_tile + (count - starts) * max(here, delay(down, B)))
        inputs += K * C * (count * words + (count - starts) * down)
        if starts == 1.0:
            lost = 1.0 if 1.0 < active < rows else 0.0
            again = (R + (active - 1.0 - lost) * new_rows) * span
            cycles += K * (C - 1.0) * max(here, delay(again + RS, B)) + (K - 1.0) * max(
                here, delay(RS, B)
            )
            cycles += compute + delay(active * R * span + RS, B)
            inputs += K * (C - 1.0) * again + active * R * span
    return cycles, inputs, K * C * RS, K * C * P * Q


@inlined
def rs(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    N: float,
    B: float,
    B_inner: float,
    depthwise: bool,
) -> Figures:
    """Row stationary: filters in groups over what output rows and filter rows leave free;
    depthwise: channels in those groups.
    """
    rows = min(P, math.floor(N / R))
    groups = max(1.0, math.floor(N / (rows * R)))
    items, outer = (C, 1.0) if depthwise else (K, C)
    tile = 1.0 if depthwise else min(FILTERS_PER_TILE, max(1.0, math.ceil(K / groups)))
    RS = R * S
    coverage = tile * groups
    full, rest = math.floor(items / coverage), items % coverage
    P_full, P_rest = math.floor(P / rows), P % rows
    span = (rows - 1.0) * s + R
    row = span * S if Q > 1.0 else min(span, rows * s) * S
    inner = tile * S + delay(RS + tile * RS, B_inner)
    compute = inner + delay((rows + tile) * RS, B_inner)
    P_tiles = P_full + (1.0 if P_rest > 0.0 else 0.0)
    cycles, weights, outputs = 0.0, 0.0, 0.0
    for part in range(2):
        count, active = (full, coverage) if part == 0 else (1.0 if rest > 0.0 else 0.0, rest)
        if count == 0.0:
            continue
        starts = 1.0 if (part == 1) == (full == 0.0) else 0.0
        units = math.ceil(active / tile)
        stored = (
            active - tile
            if part == 1 and starts == 1.0 and units > 1.0 and active % tile == 0.0
            else active
        )
        outputs += count * stored
        fetched = max(active, tile)
        weights += count * fetched
        copies = active if depthwise else 1.0
        column_delay, row_delay = delay(copies * span * min(S, s), B), delay(copies * row, B)
        here = max(compute, delay(stored * rows, B))
        per_channel = P_full * (Q - 1.0) * max(here, column_delay) + (P_full - 1.0) * max(
            here, row_delay
        )
        if P_rest > 0.0:
            here_rest = max(compute, delay(stored * P_rest, B))
            per_channel += (Q - 1.0) * max(here_rest, column_delay) + max(here_rest, row_delay)
        first = delay(copies * span * S + fetched * RS, B)
        again = first if depthwise else delay(fetched * RS, B)
        cycles += count * (outer * per_channel + (outer - 1.0) * max(here, first))
        cycles += (count - starts) * max(here, again) + starts * (compute + first)
    passes = full + (1.0 if rest > 0.0 else 0.0)
    per_image = P_tiles * (Q - 1.0) * span * min(S, s) + (P_tiles - 1.0) * row + span * S
    inputs = C * per_image if depthwise else passes * C * per_image - (passes - 1.0) * span * S
    return cycles, inputs, weights * outer * RS, outputs * outer * P * Q


@inlined
def rs_flat(
    K: float,
    C: float,
    R: float,
    S: float,
    P: float,
    Q: float,
    s: float,
    N: float,
    B: float,
    B_inner: float,
) -> Figures:
    """Row stationary without replicated filters: output rows and filter rows only, 16 filters at a
    time innermost.
    """
    rows = math.floor(N / R)
    RS = R * S
    tile = min(FILTERS_PER_TILE, K)
    K_full, K_rest = math.floor(K / tile), K % tile
    K_tiles = K_full + (1.0 if K_rest > 0.0 else 0.0)
    full, rest = math.floor(P / rows), P % rows
    compute = tile * S + delay(RS + tile * RS, B_inner)
    column = R * (S if C > 1.0 else min(S, s))
    cycles, inputs, outputs = 0.0, 0.0, 0.0
    for part in range(2):
        count, active = (full, rows) if part == 0 else (1.0 if rest > 0.0 else 0.0, rest)
        if count == 0.0:
            continue
        starts = 1.0 if (part == 1) == (full == 0.0) else 0.0
        stored = 1.0 + (active - 1.0) * min(s, R)
        if starts == 1.0 and 1.0 < active < rows:
            stored -= min(s, R) - 1.0
        outputs += count * stored
        here = max(compute, delay(stored * tile, B))
        filters = delay(tile * RS, B)
        per_channel = (K_full - 1.0) * max(here, filters)
        if K_rest > 0.0:
            per_channel += max(compute, filters, delay(stored * K_rest, B))
        down = (active * R if Q > 1.0 or C > 1.0 else R + (active - 1.0) * min(R, s)) * S
        first = delay(active * RS + tile * RS, B)
        cycles += count * Q * (C * per_channel + (C - 1.0) * max(here, first))
        cycles += count * (Q - 1.0) * max(here, delay(active * column, B)) + (count - starts) * max(
            here, delay(down, B)
        )
        cycles += starts * (compute + first)
        inputs += (
            count * (Q * (C - 1.0) * active * RS + (Q - 1.0) * active * column)
            + (count - starts) * down
            + starts * active * RS
        )
    sweeps = (full + (1.0 if rest > 0.0 else 0.0)) * Q
    weights = (sweeps * K_tiles * C - (sweeps - 1.0)) * tile * RS
    return cycles, inputs, weights, K * C * outputs * Q


@inlined
def _not_mappable(out: NDArray[np.float64], row: int, column: int) -> None:
    out[0, row, column] = np.inf
    out[1, row, column] = np.inf
    for index in range(2, out.shape[0]):
        out[index, row, column] = 0.0


@compiled
def maestro_pairs(
    shape: NDArray[np.float64],
    depthwise: NDArray[np.int8],
    chips: NDArray[np.float64],
    template: NDArray[np.int8],
    energies: NDArray[np.float64],
    grid: bool,
    out: NDArray[np.float64],
) -> None:
    """Fills `out` (figures of pricing.Prices, chips, layers), or (figures, rows, 1) of equal rows
    where not `grid`.
    """
    for row in range(out.shape[1]):
        N, B, inner = chips[_PES, row], chips[_BANDWIDTH, row], chips[_INNER, row]
        kind = template[row]
        widest = 8.0 if kind == _SHI8 else math.floor(math.sqrt(N))
        for column in range(out.shape[2]):
            at = column if grid else row
            K, C, R, S = shape[_K, at], shape[_C, at], shape[_R, at], shape[_S, at]
            P, Q, s, times = shape[_P, at], shape[_Q, at], shape[_STRIDE, at], shape[_COUNT, at]
            dw = depthwise[at] == 1
            if kind >= _RS and kind != _SHI8 and R > N:
                _not_mappable(out, row, column)
                continue
            if kind == _DLA:
                figures = (
                    dla_depthwise(C, R, S, P, Q, s, N, B)
                    if dw
                    else dla(K, C, R, S, P, Q, s, N, B, inner)
                )
            elif kind == _RS:
                figures = rs(K, C, R, S, P, Q, s, N, B, inner, dw)
            elif kind == _RS_FLAT:
                figures = rs_flat(K, C, R, S, P, Q, s, N, B, inner)
            else:
                figures = shi(K, C, R, S, P, Q, s, N, B, inner, min(widest, N))
            cycles, inputs, weights, outputs = figures
            macs = K * C * R * S * P * Q
            # The tool fills the buffer with the whole padded input and reads outputs back at stride
            # 1.
            filled = C * ((P - 1.0) * s + R) * ((Q - 1.0) * s + S) + K * C * R * S
            read_back = (C if dw else K) * ((P - 1.0) * s + 1.0) * ((Q - 1.0) * s + 1.0)
            l1_write = macs + inputs + weights
            energy = energies[0] * macs + energies[1] * (3.0 * macs + l1_write)
            energy += energies[2] * (inputs + weights + outputs + filled + read_back)
            out[0, row, column] = times * cycles
            out[1, row, column] = times * energy
            out[2, row, column] = macs / (cycles * N)
            out[3, row, column] = times * inputs
            out[4, row, column] = times * weights
            out[5, row, column] = times * outputs
            out[6, row, column] = times * 3.0 * macs
            out[7, row, column] = times * l1_write
            out[8, row, column] = 0.0
