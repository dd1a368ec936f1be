"""U-Net as NASAIC searches it for nuclei: how many times it halves the image, and how wide each
level is.

Ronneberger et al. 2015, arXiv:1505.04597; Yang et al. 2020, arXiv:2002.04116. "Same" padding, two
convolutions a level, nearest upsampling. The first convolution after joining is two summed
convolutions, one of what comes up and one of what was kept: the same numbers as one convolution of
both, but each has its own channels to slice. Value lists are this project's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from searchspaces.base import Architecture, Choices, Gene
from searchspaces.elastic.building import subnet_of
from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.decisions import checked
from searchspaces.elastic.initialisation import initialise
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.nasaic.layers import Layers, Table

# b batch, c channels, h height, w width


@dataclass(frozen=True, kw_only=True)
class UNet:
    """Genes height h, filters at full resolution, and a factor for each of the h lower levels.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        heights: Options of h, ascending.
        base_widths: Options of the filters at full resolution.
        factors: Options of the growth from one level to the next below.
        image_size: Side of the inputs in pixels.
        out_channels: Maps that come out, logits; 1 for foreground against background.
        in_channels: Input channels.
    """

    name: str
    heights: tuple[int, ...] = (1, 2, 3, 4, 5)
    base_widths: tuple[int, ...] = (4, 8, 16, 32)
    factors: tuple[int, ...] = (1, 2)
    image_size: int = 128
    out_channels: int = 1
    in_channels: int = 3

    def __post_init__(self) -> None:
        if (
            list(self.heights) != sorted(set(self.heights))
            or self.heights[0] < 1
            or self.image_size >> self.heights[-1] < 1
        ):
            raise ValueError(
                f"{self.name} needs ascending heights of at least 1 that its side can be halved "
                f"by, got {self.heights}"
            )
        if min(self.base_widths) < 1 or min(self.factors) < 1 or self.out_channels < 1:
            raise ValueError(
                f"{self.name} needs widths, factors and outputs of at least 1, got "
                f"{self.base_widths}, {self.factors}"
            )

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        factors = (
            Gene(f"level{level}.factor", self.factors) for level in range(1, self.heights[-1] + 1)
        )
        return (Gene("height", self.heights), Gene("width", self.base_widths), *factors)

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {}

    def repair(self, choices: Choices) -> Choices:
        """ComplexityLevels below the height have factor option 0."""
        last = np.array([len(gene.options) - 1 for gene in self.genes], dtype=np.int16)
        fixed = np.clip(np.asarray(choices), 0, last).astype(np.int16)
        levels = np.arange(1, self.heights[-1] + 1)
        fixed[:, 2:] *= levels <= np.array(self.heights)[fixed[:, 0], None]
        return fixed

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" of one image and "params"; norms and biases are parameters without
        MACs.
        """
        return self._layers(choices).costs()

    def layers(self, choices: Choices) -> Table:
        """(n, g) canonical -> the layers of every network, see `Layers.table`."""
        return self._layers(choices).table()

    def widths(self, architecture: Architecture) -> tuple[int, ...]:
        """Filters of each level from full resolution down; ValueError if the architecture is of
        another space.
        """
        height, width, *factors = (
            int(gene.options[c])
            for gene, c in zip(self.genes, checked(self, architecture), strict=True)
        )
        found = [width]
        for factor in factors[:height]:
            found.append(found[-1] * factor)
        return tuple(found)

    def build_supernet(self) -> nn.Module:
        return UNetSupernet(self)

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        widths = self.widths(architecture)
        return subnet_of(
            lambda: UNetSubnet(widths, self.in_channels, self.out_channels), supernet, initialise
        )

    def _layers(self, choices: Choices) -> Layers:
        found = Layers(len(choices))
        height = np.array(self.heights)[choices[:, 0]]
        widths = [np.array(self.base_widths)[choices[:, 1]]]
        for level in range(1, self.heights[-1] + 1):
            widths.append(widths[-1] * np.array(self.factors)[choices[:, 1 + level]])
        for level, width in enumerate(widths):
            before = widths[level - 1] if level else self.in_channels
            for channels in (before, width):
                found.add(width, channels, 3, self.image_size >> level, present=level <= height)
        for level in reversed(range(self.heights[-1])):
            width, side, there = widths[level], self.image_size >> level, level < height
            found.add(width, widths[level + 1], 3, side, present=there, norm=False)
            found.add(width, width, 3, side, present=there)
            found.add(width, width, 3, side, present=there)
        found.add(self.out_channels, widths[0], 1, self.image_size, norm=False, bias=True)
        return found


class Level(nn.Module):
    """Two stand-alone convolutions; with `below`, the first joins what comes up."""

    def __init__(self, in_width: int, width: int, below: int = 0) -> None:
        super().__init__()
        self.up = nn.Conv2d(below, width, 3, padding=1, bias=False) if below else None
        self.first = nn.Conv2d(in_width, width, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)

    def forward(self, x_bchw: Tensor, below_bchw: Tensor | None = None) -> Tensor:
        """(b, in, h, w) -> (b, width, h, w)."""
        joined = (
            None
            if self.up is None or below_bchw is None
            else self.up(F.interpolate(below_bchw, size=x_bchw.shape[2:]))
        )
        y = self.first(x_bchw)
        y = F.relu(self.first_norm(y if joined is None else joined + y))
        out: Tensor = F.relu(self.second_norm(self.second(y)))
        return out


class ElasticLevel(nn.Module):
    """All levels up to a largest one; parameters are named as in `Level`."""

    def __init__(self, in_width: int, width: int, below: int = 0) -> None:
        super().__init__()
        self.up = ElasticConv2d(below, width, 3) if below else None
        self.first = ElasticConv2d(in_width, width, 3)
        self.first_norm = ElasticBatchNorm2d(width)
        self.second = ElasticConv2d(width, width, 3)
        self.second_norm = ElasticBatchNorm2d(width)

    def forward(self, x_bchw: Tensor, width: int, below_bchw: Tensor | None = None) -> Tensor:
        """(b, in, h, w) -> (b, width, h, w)."""
        joined = (
            None
            if self.up is None or below_bchw is None
            else self.up(F.interpolate(below_bchw, size=x_bchw.shape[2:]), width)
        )
        y = self.first(x_bchw, width)
        y = F.relu(self.first_norm(y if joined is None else joined + y))
        out: Tensor = F.relu(self.second_norm(self.second(y, width)))
        return out


class UNetSubnet(nn.Module):
    """One network of torch's own layers."""

    def __init__(self, widths: tuple[int, ...], in_channels: int, out_channels: int) -> None:
        super().__init__()
        befores = (in_channels, *widths)
        self.down = nn.ModuleList(
            Level(before, width) for before, width in zip(befores, widths, strict=False)
        )
        self.ups = nn.ModuleList(
            Level(width, width, below) for width, below in itertools.pairwise(widths)
        )
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward(self, x_bchw: Tensor, *, dropout: float = 0.0, drop_connect: float = 0.0) -> Tensor:
        """(b, in_channels, h, w) -> (b, out_channels, h, w) logits; drop_connect has nothing to act
        on.
        """
        kept = [self.down[0](x_bchw)]
        for level in list(self.down)[1:]:
            kept.append(level(F.max_pool2d(kept[-1], 2)))
        x = kept.pop()
        for level in reversed(self.ups):
            x = level(kept.pop(), x)
        maps: Tensor = self.head(F.dropout(x, dropout) if dropout else x)
        return maps


class UNetSupernet(nn.Module):
    """Every network of a space on views of the largest one's weights."""

    def __init__(self, space: UNet) -> None:
        super().__init__()
        self.space = space
        widths = [
            max(space.base_widths) * max(space.factors) ** level
            for level in range(space.heights[-1] + 1)
        ]
        befores = [space.in_channels, *widths]
        self.down = nn.ModuleList(
            ElasticLevel(before, width) for before, width in zip(befores, widths, strict=False)
        )
        self.ups = nn.ModuleList(
            ElasticLevel(width, width, below) for width, below in itertools.pairwise(widths)
        )
        self.head = ElasticConv2d(widths[0], space.out_channels, bias=True)

    def forward(
        self,
        x_bchw: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Tensor:
        """(b, in_channels, h, w) -> (b, out_channels, h, w) logits of the architecture's
        network.
        """
        widths = self.space.widths(architecture)
        kept = [self.down[0](x_bchw, widths[0])]
        for index in range(1, len(widths)):
            kept.append(self.down[index](F.max_pool2d(kept[-1], 2), widths[index]))
        x = kept.pop()
        for index in reversed(range(len(widths) - 1)):
            x = self.ups[index](kept.pop(), widths[index], x)
        maps: Tensor = self.head(F.dropout(x, dropout) if dropout else x, self.space.out_channels)
        return maps
