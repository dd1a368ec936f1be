"""Small spaces of detectors and what their networks take, for tests."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from searchspaces.base import Architecture, architectures
from searchspaces.nask import NASK, Stage
from searchspaces.nask.layers.attention import ElasticAttention
from searchspaces.nask.layers.geo_align import Align, ElasticAlign

TINY = NASK(
    name="tiny",
    resolutions=(32, 48),
    stem_widths=(4, 8),
    stages=tuple(Stage(widths=(w, 2 * w), depths=(1, 2)) for w in (4, 6, 8, 8)),
    pyramid_widths=(8, 16, 24),
    roi_sizes=("4x12", "8x16"),
    operators=("ga0", "ga1", "ga2"),
    samples=(1, 2),
    encoders=(0, 1, 2),
    fox_widths=(8, 16),
    fox_depths=(1, 3),
)


@dataclass(frozen=True)
class Looked:
    """Inputs of a training step whose RoIs are given."""

    images: Tensor
    regions: Tensor

    def rois(self, maps: Tensor) -> Tensor:
        assert not maps.requires_grad
        return self.regions


def random_rois(count: int, num_images: int, side: float, seed: int = 0) -> Tensor:
    """(count, 7) float64 rectangles of any direction, some of them partly outside the image."""
    g = torch.Generator().manual_seed(seed)
    angle = (torch.rand(count, generator=g) - 0.5) * math.pi
    columns = [
        torch.randint(0, num_images, (count,), generator=g),
        torch.rand(count, generator=g) * side,
        torch.rand(count, generator=g) * side,
        torch.cos(angle),
        torch.sin(angle),
        torch.rand(count, generator=g) * side,
        torch.rand(count, generator=g) * side / 3,
    ]
    return torch.stack([column.double() for column in columns], dim=1)


def stirred(network: nn.Module) -> nn.Module:
    """Scales and offsets that start at 0 would hide whole parts: they are drawn at random."""
    for parameter in network.parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 1.0, 0.3)
    for module in network.modules():
        if isinstance(module, ElasticAlign | Align):
            for head in (module.column_offset, module.cell_offset):
                if head is not None:
                    nn.init.normal_(head.weight, std=0.3)
        elif isinstance(module, ElasticAttention):
            nn.init.normal_(module.project.weight)
    return network


def drawn(space: NASK, count: int, seed: int = 0) -> list[Architecture]:
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.integers(0, len(gene.options), count) for gene in space.genes], axis=1)
    return architectures(space, rows.astype(np.int16))
