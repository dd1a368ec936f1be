"""Exact costs of many networks at once: every part of a network is tabulated over the genes it
depends on, then looked up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Choices, CostTable

_ROWS = 1 << 14  # looked up at a time: the intermediate columns then stay in the processor's cache


def tabulate(
    axes: Mapping[str, tuple[Any, ...]],  # Any: options are what `count` takes
    columns: Mapping[str, int],
    count: Callable[..., tuple[int, ...]],
) -> CostTable:
    """Calls `count` with every combination of the axes' options; axes that are no gene (not in
    `columns`) have one option.
    """
    rows = np.array(
        [count(*options) for options in itertools.product(*axes.values())], dtype=np.float64
    )
    sizes = [len(options) for options in axes.values()]
    strides = [int(np.prod(sizes[position + 1 :])) for position in range(len(sizes))]
    genes = [
        (columns[name], stride)
        for name, stride in zip(axes, strides, strict=True)
        if name in columns
    ]
    return CostTable(
        tuple(c for c, _ in genes),
        tuple(s for _, s in genes),
        tuple(column.copy() for column in rows.T),
    )


def total(
    tables: Sequence[CostTable], choices: Choices, names: Sequence[str] = ("macs", "params")
) -> dict[str, NDArray[np.float64]]:
    """(n, g) -> the named costs, (n,) each: the sum of all parts, whose values are in the order of
    `names`.
    """
    sums = [np.zeros(len(choices)) for _ in names]
    for start in range(0, len(choices), _ROWS):
        rows = slice(start, start + _ROWS)
        by_gene = np.ascontiguousarray(choices[rows].T, dtype=np.intp)
        for table in tables:
            index = np.zeros(by_gene.shape[1], dtype=np.intp)
            for column, stride in zip(table.columns, table.strides, strict=True):
                index += by_gene[column] * stride
            for values, found in zip(table.values, sums, strict=True):
                found[rows] += values[index]
    return dict(zip(names, sums, strict=True))
