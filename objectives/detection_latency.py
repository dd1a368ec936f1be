"""Measured latency of a detector that looks twice: the whole image, eight rectangles of it, and
what turns both into polygons; together and apart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from objectives.base import Candidate, Goal, MeasurementError, Needs, Value
from objectives.detection.objective import Look, detections, settings_of
from objectives.parts.text.decoding.detections import Original
from objectives.parts.text.decoding.proposals import Components
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.rectangles import Rectangles
from objectives.parts.timing import median_milliseconds, pinned

# RoIs of an image: near the mean of three public sets (6.1, 7.4 and 4.2 texts an image), and the
# 90th and 99th percentiles of Total-Text.
ROIS, MORE_ROIS = 8, (15, 35)


class DetectionLatency:
    """Median milliseconds for one image of a batch of one: its first look, a second look at eight
    rectangles, and decoding them.

    "latency" is the sum of the three, which are also there one by one, and so are the sums for 15
    and 35 rectangles. Times are those of `parts.timing`.

    Attributes:
        tolerance: By how much two measurements of one candidate may differ, as a factor.
    """

    name = "detection_latency"
    tolerance = 2.0
    yields = tuple(
        Value(name, "ms", Goal.MINIMIZE)
        for name in (
            "latency",
            "latency_first",
            "latency_second",
            "latency_decoding",
            *(f"latency_{count}_rois" for count in MORE_ROIS),
        )
    )

    def __init__(
        self, input_shape: tuple[int, int, int], *, repeats: int = 10, threads: int = 1
    ) -> None:
        """`input_shape` is (channels, height, width)."""
        if repeats < 3 or threads < 1:
            raise ValueError(
                f"latency needs at least 3 repeats and a thread, got {repeats} and {threads}"
            )
        self._input_shape = input_shape
        self._repeats = repeats
        self._threads = threads
        self._input: torch.Tensor | None = None
        self._device = torch.device("cpu")

    @property
    def needs(self) -> Needs:
        return Needs(cpus=float(self._threads))

    def open(self, device: torch.device) -> None:
        """Makes the input, (1, channels, height, width) from a fixed seed."""
        if self._input is None:
            generator = torch.Generator().manual_seed(0)
            self._input = torch.randn(1, *self._input_shape, generator=generator).to(device)
            self._device = device

    def measure(self, candidate: Candidate) -> dict[str, float]:
        """Milliseconds by part.

        Raises:
            MeasurementError: The network's maps are not finite.
        """
        if self._input is None:
            raise RuntimeError(f"{self.name} was not opened: call open(device) first")
        network: Any = candidate.subnet.to(self._device).eval()
        settings = settings_of(candidate.decoding, DecodingSettings())
        image = self._input
        with pinned(self._threads):
            maps, features = network(image)
            if not torch.isfinite(maps).all():
                raise MeasurementError(f"{candidate.architecture.key}: maps are not finite")
            first = self._median(lambda: network(image), self._repeats)
            size = (4.0 * maps.shape[-2], 4.0 * maps.shape[-1])
            seconds, decodings = [], []
            for count in (ROIS, *MORE_ROIS):
                repeats = self._repeats if count == ROIS else 3  # the others are for the record
                rectangles = spread(count, size)
                rows = torch.from_numpy(
                    np.column_stack([np.zeros(count), rectangles]).astype(np.float32)
                ).to(self._device)
                second = partial(network.second, features, rows)
                seconds.append(self._median(second, repeats))
                geometry = second()
                if not torch.isfinite(geometry).all():
                    raise MeasurementError(f"{candidate.architecture.key}: geometry is not finite")
                look = drawn(rectangles, geometry.shape[-2:])
                original = Original(int(size[1]), int(size[0]))
                decodings.append(
                    self._median(partial(detections, look, original, settings), repeats)
                )
        sums = [
            first + second + decoding for second, decoding in zip(seconds, decodings, strict=True)
        ]
        parts = (sums[0], first, seconds[0], decodings[0], *sums[1:])
        return dict(zip((value.name for value in self.yields), parts, strict=True))

    def _median(self, run: Callable[[], object], repeats: int) -> float:
        return median_milliseconds(run, repeats=repeats, device=self._device)


def spread(count: int, size: tuple[float, float]) -> Rectangles:
    """(count, 6) level rectangles of four to one in rows over an image of (height, width)."""
    columns = int(np.ceil(np.sqrt(count / 4.0)))
    rows = -(-count // columns)
    height, width = size[0] / rows, size[1] / columns
    x = (np.arange(count) % columns + 0.5) * width
    y = (np.arange(count) // columns + 0.5) * height
    ones = np.ones(count)
    return np.column_stack([x, y, ones, 0 * ones, 0.9 * width * ones, 0.6 * height * ones])


def drawn(rectangles: Rectangles, size: tuple[int, int]) -> Look:
    """A look as a network that has learned would have it: a level band in each rectangle, for an
    untrained one sees nothing that would take time to decode.
    """
    count, (height, width) = len(rectangles), size
    line = np.zeros((count, height, width), dtype=np.float32)
    line[:, height // 2 - 1 : height // 2 + 1, width // 16 : -(width // 16) or None] = 0.99
    geometry = np.zeros((count, 5, height, width), dtype=np.float32)
    geometry[:, 0], geometry[:, 2], geometry[:, 3] = 0.6, -1.0, 1.0
    numbers = np.arange(1, count + 1)
    labels = np.zeros((1, 1), dtype=np.int32)
    return Look(
        Components(rectangles, np.full(count, 0.9), labels, numbers), rectangles, line, geometry
    )


def build(input_shape: tuple[int, int, int] = (3, 256, 256), threads: int = 1) -> DetectionLatency:
    """Latency of one image of this shape."""
    return DetectionLatency(input_shape, threads=threads)
