"""Measured latency of a candidate's stand-alone network on this machine, by the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from objectives.base import Candidate, Goal, MeasurementError, Needs

_WARM_UP_SECONDS = 0.01
_QUIET_SPREAD = 1.5  # 90th over 10th percentile beyond which the machine counts as disturbed
_MAX_ROUNDS = 4


class Latency:
    """Median milliseconds of one forward pass in eval mode, on pinned threads.

    Warm-up of at least 3 passes and 10 ms, then `repeats` timed passes; when their 90th percentile
    is over 1.5 times their 10th, something else was running: up to three more rounds are timed, and
    the smallest median stands, because a disturbance only adds. A latency is noise beside other
    work: give its worker a core of its own.

    Attributes:
        tolerance: Factor by which two measurements of one candidate may differ.
    """

    unit = "ms"
    goal = Goal.MINIMIZE
    tolerance = 2.0

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        *,
        batch_size: int = 1,
        repeats: int = 30,
        threads: int = 1,
        device: str = "",
    ) -> None:
        """`input_shape` is (channels, height, width); `device` names the kind of machine, which the
        cluster must offer as a resource.
        """
        if batch_size < 1 or repeats < 3 or threads < 1:
            raise ValueError(
                f"latency needs a batch and threads of at least 1 and 3 repeats, got {batch_size}, "
                f"{threads} and {repeats}"
            )
        self._input_shape = input_shape
        self._batch_size = batch_size
        self._repeats = repeats
        self._threads = threads
        self._label = device
        self._input: torch.Tensor | None = None
        self._device = torch.device("cpu")

    @property
    def name(self) -> str:
        return f"latency@{self._label}" if self._label else "latency"

    @property
    def needs(self) -> Needs:
        return Needs(cpus=float(self._threads), label=self._label)

    def open(self, device: torch.device) -> None:
        """Makes the input, (batch, channels, height, width) from a fixed seed."""
        if self._input is None:
            generator = torch.Generator().manual_seed(0)
            self._input = torch.randn(self._batch_size, *self._input_shape, generator=generator).to(
                device
            )
            self._device = device

    def measure(self, candidate: Candidate) -> float:
        """Milliseconds a batch.

        Raises:
            MeasurementError: The network's output is not finite.
        """
        if self._input is None:
            raise RuntimeError("latency was not opened: call open(device) first")
        network, x_bchw = candidate.subnet.to(self._device).eval(), self._input
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        try:
            with torch.inference_mode():
                if not torch.isfinite(network(x_bchw)).all():
                    raise MeasurementError(
                        f"{candidate.architecture.key}: the output is not finite"
                    )
                return self._median(network, x_bchw)
        finally:
            torch.set_num_threads(before)

    def _median(self, network: nn.Module, x_bchw: torch.Tensor) -> float:
        finish: Callable[[], None] = (
            torch.cuda.synchronize if self._device.type == "cuda" else lambda: None
        )
        start, passes = time.perf_counter(), 0
        while passes < 3 or time.perf_counter() - start < _WARM_UP_SECONDS:
            network(x_bchw)
            finish()
            passes += 1
        medians = []
        for _ in range(_MAX_ROUNDS):
            seconds = []
            for _ in range(self._repeats):
                began = time.perf_counter()
                network(x_bchw)
                finish()
                seconds.append(time.perf_counter() - began)
            medians.append(statistics.median(seconds))
            deciles = statistics.quantiles(seconds, n=10)
            if deciles[-1] <= _QUIET_SPREAD * deciles[0]:
                break
        return 1000.0 * min(medians)


def build(input_shape: tuple[int, int, int] = (3, 32, 32)) -> Latency:
    """Latency of a single image of this shape on one thread."""
    return Latency(input_shape)
