"""Measured latency of a candidate's stand-alone network on this machine, by the clock."""

from __future__ import annotations

import torch

from objectives.base import Candidate, Goal, MeasurementError, Needs
from objectives.parts.timing import median_milliseconds, pinned


class Latency:
    """Median milliseconds of one forward pass in eval mode, on pinned threads.

    Passes are timed as `parts.timing.median_milliseconds` does. A latency is noise beside other
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
        with pinned(self._threads):
            if not torch.isfinite(network(x_bchw)).all():
                raise MeasurementError(f"{candidate.architecture.key}: the output is not finite")
            return median_milliseconds(
                lambda: network(x_bchw), repeats=self._repeats, device=self._device
            )


def build(
    input_shape: tuple[int, int, int] = (3, 32, 32), batch_size: int = 1, threads: int = 1
) -> Latency:
    """Latency of a batch of images of this shape."""
    return Latency(input_shape, batch_size=batch_size, threads=threads)
