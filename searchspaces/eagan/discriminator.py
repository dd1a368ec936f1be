"""The discriminator: a residual stem, three down-cells, a sum over all positions; the space of its
cells; and a plain fixed one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from searchspaces.base import Architecture, Choices
from searchspaces.eagan.cells import DOWN_EDGES, DownCell, Options
from searchspaces.eagan.operations import normal_costs
from searchspaces.eagan.rules import Rules
from searchspaces.eagan.space import NUM_CELLS, CellSpace, Chosen, refuse_dropout
from searchspaces.eagan.spectral import SpectralConv2d, SpectralLinear, initialise

# b batch, c channels, h height, w width

_IN_N1, _IN_N2, _N1_N2, _N1_N3, _IN_N3, _N2_OUT, _N3_OUT = range(7)


class _Stem(nn.Module):
    """Two convolutions and half the side, beside a shortcut that is pooled first."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = SpectralConv2d(in_channels, channels, 3, padding=1)
        self.second = SpectralConv2d(channels, channels, 3, padding=1)
        self.shortcut = SpectralConv2d(in_channels, channels, 1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, image channels, h, w) -> (b, c, h / 2, w / 2)."""
        deep: Tensor = F.avg_pool2d(self.second(torch.relu(self.first(x_bchw))), 2)
        shallow: Tensor = self.shortcut(F.avg_pool2d(x_bchw, 2))
        return deep + shallow


class _Network(nn.Module):
    """Base of supernet and extracted network; weights bear the same names in both."""

    def __init__(self, space: Discriminator, options: Sequence[Options]) -> None:
        super().__init__()
        self._image_shape = space.input_shape
        self.stem = _Stem(space.image_channels, space.channels)
        self.cells = nn.ModuleList(
            DownCell(space.channels, options[k], SpectralConv2d) for k in range(NUM_CELLS)
        )
        self.head = SpectralLinear(space.channels, 1, bias=False)

    def run(self, x_bchw: Tensor, chosen: Chosen) -> Tensor:
        """(b, c, h, w) -> (b, 1), above 0 for what seems real."""
        if tuple(x_bchw.shape[1:]) != self._image_shape:
            raise ValueError(
                f"the discriminator takes images of shape {self._image_shape}, got "
                f"{tuple(x_bchw.shape[1:])}; resize them"
            )
        x: Tensor = self.stem(x_bchw)
        for cell, options in zip(self.cells, chosen, strict=True):
            x = cell(x, options)
        score: Tensor = self.head(torch.relu(x).sum((2, 3)))
        return score


class DiscriminatorSupernet(_Network):
    """All operations of all edges."""

    def __init__(self, space: Discriminator, options: Sequence[Options]) -> None:
        super().__init__(space, options)
        self._space = space

    def forward(
        self,
        x_bchw: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Tensor:
        """(b, c, h, w) -> (b, 1), by the architecture's path."""
        refuse_dropout(dropout, drop_connect)
        return self.run(x_bchw, self._space.chosen(architecture))


class DiscriminatorNetwork(_Network):
    """One discriminator that stands alone."""

    def __init__(self, space: Discriminator, options: Sequence[Options], chosen: Chosen) -> None:
        super().__init__(space, options)
        self._chosen = chosen

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, 1)."""
        return self.run(x_bchw, self._chosen)


@dataclass(frozen=True, kw_only=True)
class Discriminator(CellSpace):
    """Discriminators of `image_size` pixels. `repair` also sets the first edge to an identity where
    no edge leaves its node.
    """

    channels: int = 128

    @property
    def edges(self) -> Mapping[str, tuple[str, ...]]:
        return DOWN_EDGES

    @property
    def offsets(self) -> tuple[int, ...]:
        return 1, 0, 0, 0, 0, -1, 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.image_channels, self.image_size, self.image_size

    @cached_property
    def rules(self) -> Rules:
        starts = [k * len(self.edges) for k in range(NUM_CELLS)]
        groups = tuple(
            tuple(s + e for e in group)
            for s in starts
            for group in ((_IN_N2, _N1_N2), (_N1_N3, _IN_N3))
        )
        switches = tuple((s + _N2_OUT, s + _N3_OUT) for s in starts)
        return Rules(
            tuple(len(options) for options in self.edges.values()) * NUM_CELLS, groups, switches
        )

    def codes(self, architecture: Architecture) -> list[list[int]]:
        rows = super().codes(architecture)
        return [[*row[:_N3_OUT], -1 if row[_N2_OUT] == -1 else row[_N3_OUT]] for row in rows]

    def _canonical(self, choices: Choices) -> Choices:
        cells = choices.reshape(len(choices), NUM_CELLS, len(self.edges)).copy()
        unread = (cells[..., _N1_N2] == 0) & (cells[..., _N1_N3] == 0)
        cells[..., _IN_N1][unread] = 0
        return cells.reshape(choices.shape)

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" of one image and "params", (n,) each; the power iterations and biases
        are no MACs.
        """
        c, side = self.channels, self.image_size
        first, second, shortcut = 9 * self.image_channels * c, 9 * c**2, self.image_channels * c
        macs = np.full(
            len(choices), float((first + second) * side**2 + shortcut * (side // 2) ** 2 + c)
        )
        params = np.full(len(choices), float(first + second + shortcut + 3 * c + c))
        pixels = np.full(len(choices), float((side // 2) ** 2))
        cells = choices.reshape(len(choices), NUM_CELLS, len(self.edges))
        for k in range(NUM_CELLS):
            halves = cells[:, k, _N2_OUT] != 0
            for column, table in enumerate(self._tables):
                mac, param = table[cells[:, k, column]].T
                leaves = column >= _N2_OUT
                runs = halves if leaves else np.ones(len(choices), dtype=bool)
                macs += runs * mac * (pixels / 4 if leaves else pixels)
                params += runs * param
            pixels = np.where(halves, pixels / 4, pixels)
        return {"macs": macs, "params": params}

    @cached_property
    def _tables(self) -> list[NDArray[np.float64]]:
        """(options, 2) MACs of one output pixel and parameters, an array an edge."""
        return [
            np.array([normal_costs(o, self.channels) for o in options], dtype=np.float64)
            for options in self.edges.values()
        ]

    def _network(self, options: Sequence[Options], chosen: Chosen | None) -> nn.Module:
        if chosen is None:
            return DiscriminatorSupernet(self, options)
        kept = [
            {e: () if e == "n3_out" and c["n2_out"] == "keep" else o for e, o in held.items()}
            for held, c in zip(options, chosen, strict=True)
        ]
        return DiscriminatorNetwork(self, kept, chosen)


class PlainDiscriminator(nn.Module):
    """The fixed discriminator of the paper's variant GD2 and of the released first stage: five
    strided convolutions, no choice.

    Only the last layer is spectrally normalised; batch norm and leaky ReLU follow the first, third
    and fifth convolution alone.
    """

    def __init__(self, image_channels: int = 3, channels: int = 128) -> None:
        super().__init__()
        widths = [image_channels, channels // 2, channels, channels, channels, channels]
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(itertools.pairwise(widths)):
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))
            if index % 2 == 0:
                layers += [nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.body = nn.Sequential(*layers)
        self.head = SpectralLinear(channels, 1, bias=False)
        initialise(self)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, 1); sides must be at least 32 pixels."""
        if min(x_bchw.shape[2:]) < 32:
            raise ValueError(
                "the plain discriminator halves its input five times and needs at least 32 "
                f"pixels, got {tuple(x_bchw.shape)}"
            )
        score: Tensor = self.head(self.body(x_bchw).sum((2, 3)))
        return score
