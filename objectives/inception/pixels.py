"""Images as the pixels they came from: uint8, whatever a data source's normalisation or a
generator's range.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from objectives.base import LabelledSource, LabelledSplit, Split

# b batch, c channels, h height, w width


class PixelSource(LabelledSource, Protocol):
    """A data source that says how it normalises."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, on a scale of 0 to 1."""
        ...

    @property
    def std(self) -> tuple[float, ...]: ...


def pixel_batches(source: PixelSource, split: Split, batch_size: int = 500) -> Iterator[Tensor]:
    """(b, c, h, w) uint8 of all images in order, exactly as they were before the source normalised
    them.
    """
    mean, std = (
        torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
        for values in (source.mean, source.std)
    )
    for chosen in torch.split(torch.arange(len(split)), batch_size):
        yield ((split.images(chosen) * std + mean) * 255.0).round().clamp(0, 255).to(torch.uint8)


def pixels_of(source: PixelSource, split: LabelledSplit) -> tuple[Tensor, Tensor]:
    """(n, c, h, w) uint8 pixels and (n,) labels of a whole split."""
    return torch.cat(list(pixel_batches(source, split))), split.labels


def generated_pixels(x_bchw: Tensor) -> Tensor:
    """A generator's images in [-1, 1] as uint8: scaled, clamped and truncated, as the published
    scores do.
    """
    return (x_bchw * 127.5 + 127.5).clamp(0, 255).to(torch.uint8)
