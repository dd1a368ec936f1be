"""Timing and reporting for several benchmarks: interleaved repeats, medians with their spread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def seconds(work: Callable[[], Any]) -> float:
    """Wall-clock of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def interleaved(ways: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Returns each way's results, one a repeat; the ways take turns, so that a busy moment hits all
    of them.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            found[name].append(way())
    return found


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Median, least and largest."""
    return {
        "median": round(statistics.median(values), digits),
        "min": round(min(values), digits),
        "max": round(max(values), digits),
    }


def ratios(above: Sequence[float], below: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Spread of the ratios above/below, of values that were measured side by side."""
    return spread([a / b for a, b in zip(above, below, strict=True)], digits)
