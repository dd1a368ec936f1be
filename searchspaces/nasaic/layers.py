"""Layers of many networks at once, as columns: one list for exact costs, for chips, and for tests
against built networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Table = Mapping[str, NDArray[Any]]


class Layers:
    """Convolutions of n networks, added one position after the other; a network may lack a
    position.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._columns: list[tuple[NDArray[np.int64], ...]] = []
        self._params = np.zeros(rows)

    def add(
        self,
        filters: ArrayLike,
        channels: ArrayLike,
        kernel: int,
        side: int,
        *,
        present: ArrayLike = True,
        norm: bool = True,
        bias: bool = False,
    ) -> None:
        """A square convolution of stride 1 with `side` output rows; numbers are one for all or
        (n,).
        """
        there = np.broadcast_to(np.asarray(present, dtype=np.int64), (self._rows,))
        K, C = (
            np.where(there, np.broadcast_to(np.asarray(x, dtype=np.int64), (self._rows,)), 1)
            for x in (filters, channels)
        )
        self._columns.append((K, C, np.full(self._rows, kernel), np.full(self._rows, side), there))
        self._params += there * (K * C * kernel**2 + (2 * norm + bias) * K)

    def table(self) -> Table:
        """Columns as an accelerator's cost model reads them, (n, l) each; count 0 where a network
        lacks a layer; "task" (l,).
        """
        K, C, kernel, side, count = (
            np.stack(column, axis=1) for column in zip(*self._columns, strict=True)
        )
        kind = np.full(K.shape, "CONV")
        shape = {
            "type": kind,
            "K": K,
            "C": C,
            "R": kernel,
            "S": kernel,
            "OY": side,
            "OX": side,
            "stride": np.ones_like(K),
            "count": count,
        }
        return {**shape, "task": np.zeros(K.shape[1], dtype=np.int64)}

    def costs(self) -> Mapping[str, NDArray[np.float64]]:
        """ "macs" and "params", (n,) each."""
        macs = sum(
            (K * C * kernel**2 * side**2 * count for K, C, kernel, side, count in self._columns),
            np.zeros(self._rows),
        )
        return {"macs": np.asarray(macs, dtype=np.float64), "params": self._params.copy()}
