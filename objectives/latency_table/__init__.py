"""Predicted latency: operators timed once on a device, summed for any subnet (nn-Meter's idea,
Zhang et al. 2021; one table a device).

`sample` traces subnets, `time_operators.py` times what they run on the device, `fit` makes a
`LatencyTable` of both, which says how well it predicts networks that it has not seen, and
`PredictedLatency` is the cost of a search. Fitting stands in `fitting.py`: a search that reads a
table needs no torch.
"""

from __future__ import annotations

from pathlib import Path

from objectives.latency_table.table import LatencyTable, PredictedLatency
from searchspaces.base import SearchSpace

__all__ = [
    "LatencyTable",
    "PredictedLatency",
    "build",
]


def build(space: SearchSpace, path: Path) -> PredictedLatency:
    """The cost that a table file holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no latency table, or one of another space.
    """
    return PredictedLatency(space, LatencyTable.load(path))
