"""The generator: three linear layers, three up-cells, a head; and the space of its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from searchspaces.base import Architecture, Choices
from searchspaces.eagan.cells import UP_EDGES, Options, UpCell
from searchspaces.eagan.operations import normal_costs, up_costs
from searchspaces.eagan.rules import Rules
from searchspaces.eagan.space import NUM_CELLS, CellSpace, Chosen, refuse_dropout
from searchspaces.elastic.norm import ElasticBatchNorm2d

# b batch, c channels, h height, w width, z latent values

_IN_A, _IN_B, _A_MID, _B_MID, _A_OUT, _B_OUT, _MID_OUT = range(7)


class _Network(nn.Module):
    """Base of supernet and extracted network; weights bear the same names in both."""

    def __init__(
        self, space: Generator, options: Sequence[Options], norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self._chunk, self._bottom, self._channels = (
            space.latent // NUM_CELLS,
            space.bottom,
            space.channels,
        )
        self.stems = nn.ModuleList(
            nn.Linear(self._chunk, space.channels * (space.bottom << k) ** 2)
            for k in range(NUM_CELLS)
        )
        self.cells = nn.ModuleList(UpCell(space.channels, k, options[k]) for k in range(NUM_CELLS))
        self.norm = norm(space.channels)
        self.head = nn.Conv2d(space.channels, space.image_channels, 3, padding=1)

    def run(self, z_bz: Tensor, chosen: Chosen) -> Tensor:
        """(b, latent) -> (b, image channels, image size, image size) in [-1, 1]."""
        if z_bz.ndim != 2 or z_bz.shape[1] != NUM_CELLS * self._chunk:
            raise ValueError(
                f"the generator takes (b, {NUM_CELLS * self._chunk}) latent values, got shape "
                f"{tuple(z_bz.shape)}"
            )
        x: Tensor | None = None
        middles: list[Tensor] = []
        for k, (stem, cell, z) in enumerate(
            zip(self.stems, self.cells, torch.split(z_bz, self._chunk, dim=1), strict=True)
        ):
            side = self._bottom << k
            entering = stem(z).view(-1, self._channels, side, side)
            middle, x = cell(entering if x is None else x + entering, chosen[k], middles)
            middles.append(middle)
        return torch.tanh(self.head(torch.relu(self.norm(x))))


class GeneratorSupernet(_Network):
    """All operations of all edges; its batch norm always uses the batch's statistics."""

    def __init__(self, space: Generator, options: Sequence[Options]) -> None:
        super().__init__(space, options, ElasticBatchNorm2d)
        self._space = space

    def forward(
        self,
        z_bz: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Tensor:
        """(b, latent) -> (b, c, h, w) in [-1, 1], by the architecture's path."""
        refuse_dropout(dropout, drop_connect)
        return self.run(z_bz, self._space.chosen(architecture))


class GeneratorNetwork(_Network):
    """One generator that stands alone."""

    def __init__(self, space: Generator, options: Sequence[Options], chosen: Chosen) -> None:
        super().__init__(space, options, nn.BatchNorm2d)
        self._chosen = chosen

    def forward(self, z_bz: Tensor) -> Tensor:
        """(b, latent) -> (b, c, h, w) in [-1, 1]."""
        return self.run(z_bz, self._chosen)


@dataclass(frozen=True, kw_only=True)
class Generator(CellSpace):
    """Generators of `image_size` pixels, from a latent vector whose thirds enter one cell each.

    `repair` also sets what nothing reads: an up-sampling whose copy no edge takes becomes the first
    one (it stays in the network and in the counts, as in the paper's), and the edges into a middle
    node that neither the output nor a later cell takes become an identity.

    Attributes:
        latent: Length of the latent vector, a multiple of 3.
    """

    channels: int = 256
    latent: int = 120

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent < NUM_CELLS or self.latent % NUM_CELLS:
            raise ValueError(
                f"{self.name}: latent must be a multiple of {NUM_CELLS}, got {self.latent}"
            )

    @property
    def edges(self) -> Mapping[str, tuple[str, ...]]:
        return UP_EDGES

    @property
    def bottom(self) -> int:
        """Side in pixels at which the first cell starts."""
        return self.image_size >> NUM_CELLS

    @property
    def input_shape(self) -> tuple[int, ...]:
        return (self.latent,)

    @cached_property
    def rules(self) -> Rules:
        starts = [k * len(self.edges) for k in range(NUM_CELLS)]
        groups = tuple(
            tuple(s + e for e in group)
            for s in starts
            for group in ((_A_MID, _B_MID), (_A_OUT, _B_OUT, _MID_OUT))
        )
        return Rules(tuple(len(options) for options in self.edges.values()) * NUM_CELLS, groups)

    def _canonical(self, choices: Choices) -> Choices:
        cells = choices.reshape(len(choices), NUM_CELLS, len(self.edges)).copy()
        read = np.zeros(len(cells), dtype=bool)
        for k in reversed(range(NUM_CELLS)):
            cell = cells[:, k]
            read = read | (
                cell[:, _MID_OUT] != 0
            )  # a later cell that is read takes this middle node
            cell[~read, _A_MID], cell[~read, _B_MID] = 0, 1
            cell[(cell[:, _A_OUT] == 0) & ~(read & (cell[:, _A_MID] != 0)), _IN_A] = 0
            cell[(cell[:, _B_OUT] == 0) & ~(read & (cell[:, _B_MID] != 0)), _IN_B] = 0
        return cells.reshape(choices.shape)

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" of one image and "params", (n,) each.

        A MAC is a multiplication of a convolution or linear layer; interpolation, norms and biases
        are not counted.
        """
        macs, params = (np.full(len(choices), float(constant)) for constant in self._fixed_costs)
        for column, (mac_table, param_table) in enumerate(self._tables):
            macs += mac_table[choices[:, column]]
            params += param_table[choices[:, column]]
        return {"macs": macs, "params": params}

    @cached_property
    def _fixed_costs(self) -> tuple[int, int]:
        c, sides = self.channels, [self.bottom << k for k in range(NUM_CELLS + 1)]
        chunk, head = self.latent // NUM_CELLS, 9 * c * self.image_channels
        stem_macs, stem_params = (
            sum(chunk * c * s**2 for s in sides[:-1]),
            sum((chunk + 1) * c * s**2 for s in sides[:-1]),
        )
        skip_macs = sum(k * c**2 * sides[k + 1] ** 2 for k in range(NUM_CELLS))
        skip_params = sum(range(NUM_CELLS)) * (c**2 + c)
        return stem_macs + skip_macs + head * sides[
            -1
        ] ** 2, stem_params + skip_params + 2 * c + head + self.image_channels

    @cached_property
    def _tables(self) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        tables = []
        for k in range(NUM_CELLS):
            for edge, options in self.edges.items():
                enters = edge in ("in_a", "in_b")
                pixels = ((self.bottom << k) if enters else (self.bottom << k + 1)) ** 2
                found = np.array(
                    [
                        (up_costs if enters else normal_costs)(option, self.channels)
                        for option in options
                    ],
                    dtype=np.float64,
                )
                tables.append((found[:, 0] * pixels, found[:, 1].copy()))
        return tables

    def _network(self, options: Sequence[Options], chosen: Chosen | None) -> nn.Module:
        return (
            GeneratorSupernet(self, options)
            if chosen is None
            else GeneratorNetwork(self, options, chosen)
        )
