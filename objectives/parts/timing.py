"""Median times by the clock, with a warm-up, and again where something else was running."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

_WARM_UP_SECONDS = 0.01
_QUIET_SPREAD = 1.5  # 90th over 10th percentile beyond which the machine counts as disturbed
_MAX_ROUNDS = 4


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Runs a block without gradients, on so many of torch's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def median_milliseconds(
    run: Callable[[], object], *, repeats: int, device: torch.device | None = None
) -> float:
    """Median milliseconds of `run`.

    Warm-up of at least 3 runs and 10 ms, then `repeats` timed ones; when their 90th percentile is
    over 1.5 times their 10th, something else was running: up to three more rounds are timed, and
    the smallest median stands, because a disturbance only adds.
    """
    on_gpu = device is not None and device.type == "cuda"
    finish: Callable[[], None] = torch.cuda.synchronize if on_gpu else lambda: None
    start, runs = time.perf_counter(), 0
    while runs < 3 or time.perf_counter() - start < _WARM_UP_SECONDS:
        run()
        finish()
        runs += 1
    medians = []
    for _ in range(_MAX_ROUNDS):
        seconds = []
        for _ in range(repeats):
            began = time.perf_counter()
            run()
            finish()
            seconds.append(time.perf_counter() - began)
        medians.append(statistics.median(seconds))
        deciles = statistics.quantiles(seconds, n=10)
        if deciles[-1] <= _QUIET_SPREAD * deciles[0]:
            break
    return 1000.0 * min(medians)
