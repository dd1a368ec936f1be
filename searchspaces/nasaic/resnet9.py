"""ResNet9 as NASAIC searches it: a stem, then blocks of a convolution, pooling and up to two
residual convolutions.

The backbone is DAWNBench's CIFAR-10 network; Yang et al. 2020, arXiv:2002.04116. Value lists are
this project's, see the sheet of the paper: the published ones are not available.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from searchspaces.base import Architecture, Choices, Gene, architecture_of
from searchspaces.elastic.building import subnet_of
from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.decisions import checked
from searchspaces.elastic.initialisation import initialise
from searchspaces.elastic.linear import ElasticLinear
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.nasaic.layers import Layers, Table

# b batch, c channels, h height, w width

SKIPS = (0, 1, 2)
# The "weight" of the logits in github.com/davidcpage/cifar10-fast: the features are maxima over the
# image, so large and positive, and without
# it the first steps at usual learning rates diverge.
_LOGIT_SCALE = 0.125


@dataclass(frozen=True)
class Plan:
    """One network: the stem's filters, then (filters, residual convolutions) of each block."""

    stem: int
    blocks: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True)
class ResNet9:
    """Genes FN0, then FNi and SKi a block; FNi = 0 leaves the block out, its pooling too.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        stem_widths: Options of FN0.
        widths: Options of FNi, ascending; a leading 0 makes blocks optional.
        num_blocks: Blocks at most.
        image_size: Side of the inputs in pixels.
        num_classes: Outputs.
        in_channels: Input channels.
        examples: Published children by name, as (FN0, FN1, SK1, FN2, SK2, ...).
    """

    name: str
    stem_widths: tuple[int, ...]
    widths: tuple[int, ...]
    num_blocks: int
    image_size: int
    num_classes: int = 10
    in_channels: int = 3
    examples: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def __post_init__(self) -> None:
        if self.num_blocks < 1 or self.image_size >> self.num_blocks < 1:
            raise ValueError(
                f"{self.name} needs at least one block and a side that halves {self.num_blocks} "
                f"times, got {self.image_size}"
            )
        if (
            min(self.stem_widths) < 1
            or max(self.widths) < 1
            or list(self.widths) != sorted(set(self.widths))
        ):
            raise ValueError(
                f"{self.name} needs positive stem widths and ascending widths, got "
                f"{self.stem_widths} and {self.widths}"
            )

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        blocks = [
            gene
            for i in range(1, self.num_blocks + 1)
            for gene in (Gene(f"block{i}.width", self.widths), Gene(f"block{i}.skips", SKIPS))
        ]
        return (Gene("stem.width", self.stem_widths), *blocks)

    @property
    def published(self) -> Mapping[str, Architecture]:
        names = [gene.name for gene in self.genes]
        return {
            name: architecture_of(self, dict(zip(names, values, strict=True)))
            for name, values in self.examples
        }

    def repair(self, choices: Choices) -> Choices:
        """Blocks that are left out go to the end and have no residual convolutions: where they
        stood builds the same network.
        """
        last = np.array([len(gene.options) - 1 for gene in self.genes], dtype=np.int16)
        fixed = np.clip(np.asarray(choices), 0, last).astype(np.int16)
        if self.widths[0] == 0:
            blocks = fixed[:, 1:].reshape(len(fixed), self.num_blocks, 2)
            blocks[blocks[:, :, 0] == 0] = 0
            order = np.argsort(blocks[:, :, 0] == 0, axis=1, kind="stable")
            fixed[:, 1:] = np.take_along_axis(blocks, order[:, :, None], axis=1).reshape(
                len(fixed), -1
            )
        return fixed

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" of one image and "params"; norms and biases are parameters without
        MACs.
        """
        return self._layers(choices).costs()

    def layers(self, choices: Choices) -> Table:
        """(n, g) canonical -> the layers of every network, see `Layers.table`."""
        return self._layers(choices).table()

    def plan(self, architecture: Architecture) -> Plan:
        """The network written out; ValueError if it is of another space."""
        values = [
            gene.options[c] for gene, c in zip(self.genes, checked(self, architecture), strict=True)
        ]
        pairs = [(int(values[i]), int(values[i + 1])) for i in range(1, len(values), 2)]
        return Plan(int(values[0]), tuple(pair for pair in pairs if pair[0]))

    def build_supernet(self) -> nn.Module:
        return ResNet9Supernet(self)

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        plan = self.plan(architecture)
        return subnet_of(
            lambda: ResNet9Subnet(plan, self.in_channels, self.num_classes), supernet, initialise
        )

    def _layers(self, choices: Choices) -> Layers:
        found = Layers(len(choices))
        width = np.array(self.stem_widths)[choices[:, 0]]
        found.add(width, self.in_channels, 3, self.image_size)
        for block in range(self.num_blocks):
            own, skips = np.array(self.widths)[choices[:, 1 + 2 * block]], choices[:, 2 + 2 * block]
            side = self.image_size >> block
            found.add(own, width, 3, side, present=own > 0)
            for skip in range(max(SKIPS)):
                found.add(own, own, 3, side // 2, present=(own > 0) & (skips > skip))
            width = np.where(own > 0, own, width)
        found.add(self.num_classes, width, 1, 1, norm=False, bias=True)
        return found


class Block(nn.Module):
    """A stand-alone block."""

    def __init__(self, in_width: int, width: int, skips: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.skips = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(skips)
        )
        self.skip_norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(skips))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, in, h, w) -> (b, width, h // 2, w // 2)."""
        x = F.max_pool2d(F.relu(self.norm(self.conv(x_bchw))), 2)
        y = x
        for conv, norm in zip(self.skips, self.skip_norms, strict=True):
            y = F.relu(norm(conv(y)))
        return x + y if len(self.skips) else x


class ElasticBlock(nn.Module):
    """All blocks up to a largest one; parameters are named as in `Block`."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.conv = ElasticConv2d(in_width, width, 3)
        self.norm = ElasticBatchNorm2d(width)
        self.skips = nn.ModuleList(ElasticConv2d(width, width, 3) for _ in range(max(SKIPS)))
        self.skip_norms = nn.ModuleList(ElasticBatchNorm2d(width) for _ in range(max(SKIPS)))

    def forward(self, x_bchw: Tensor, width: int, skips: int) -> Tensor:
        """(b, in, h, w) -> (b, width, h // 2, w // 2) by the block of this width and so many
        residual convolutions.
        """
        x = F.max_pool2d(F.relu(self.norm(self.conv(x_bchw, width))), 2)
        y = x
        for index in range(skips):
            y = F.relu(self.skip_norms[index](self.skips[index](y, width)))
        return x + y if skips else x


class ResNet9Subnet(nn.Module):
    """One network of torch's own layers."""

    def __init__(self, plan: Plan, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, plan.stem, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(plan.stem)
        widths = [plan.stem, *(width for width, _ in plan.blocks)]
        self.blocks = nn.ModuleList(
            Block(before, width, skips)
            for before, (width, skips) in zip(widths, plan.blocks, strict=False)
        )
        self.classifier = nn.Linear(widths[-1], num_classes)

    def forward(self, x_bchw: Tensor, *, dropout: float = 0.0, drop_connect: float = 0.0) -> Tensor:
        """(b, in_channels, h, w) -> (b, num_classes) logits; drop_connect has nothing to act on."""
        x = F.relu(self.stem_norm(self.stem(x_bchw)))
        for block in self.blocks:
            x = block(x)
        x = x.amax((2, 3))
        logits: Tensor = _LOGIT_SCALE * self.classifier(F.dropout(x, dropout) if dropout else x)
        return logits


class ResNet9Supernet(nn.Module):
    """Every network of a space on views of the largest one's weights."""

    def __init__(self, space: ResNet9) -> None:
        super().__init__()
        self.space = space
        stem, largest = max(space.stem_widths), max(space.widths)
        self.stem = ElasticConv2d(space.in_channels, stem, 3)
        self.stem_norm = ElasticBatchNorm2d(stem)
        self.blocks = nn.ModuleList(
            ElasticBlock(largest if index else stem, largest) for index in range(space.num_blocks)
        )
        self.classifier = ElasticLinear(max(largest, stem), space.num_classes)

    def forward(
        self,
        x_bchw: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Tensor:
        """(b, in_channels, h, w) -> (b, num_classes) logits of the architecture's network."""
        plan = self.space.plan(architecture)
        x = F.relu(self.stem_norm(self.stem(x_bchw, plan.stem)))
        for block, (width, skips) in zip(
            self.blocks, plan.blocks, strict=False
        ):  # blocks beyond the plan rest
            x = block(x, width, skips)
        x = torch.amax(x, (2, 3))
        logits: Tensor = _LOGIT_SCALE * self.classifier(F.dropout(x, dropout) if dropout else x)
        return logits
