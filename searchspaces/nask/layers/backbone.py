"""The backbone: a stem and stages of ResNet's basic blocks, plain and elastic.

He et al. 2015, arXiv:1512.03385. Shortcuts between different sides are a 1x1 convolution of 2x2
means (He et al. 2018, arXiv:1812.01187), so that no pixel is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.drop_connect import drop_connect
from searchspaces.elastic.mbconv import pooled
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.nask.plan import BlockShape, Plan

# b batch, c channels, h height, w width


class Block(nn.Module):
    """A stand-alone block of torch's own layers."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.halves = shape.halves
        stride = 2 if shape.halves else 1
        self.first = nn.Conv2d(shape.in_width, shape.width, 3, stride=stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(shape.width)
        self.second = nn.Conv2d(shape.width, shape.width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(shape.width)
        self.shortcut = (
            nn.Conv2d(shape.in_width, shape.width, 1, bias=False) if shape.halves else None
        )
        self.shortcut_norm = nn.BatchNorm2d(shape.width) if shape.halves else None

    def forward(self, x_bchw: Tensor, drop_rate: float = 0.0) -> Tensor:
        """(b, in, h, w) -> (b, width, h, w), halved sides rounded up; `drop_rate` acts where the
        shortcut is the input itself.
        """
        y = F.relu(self.first_norm(self.first(x_bchw)))
        y = self.second_norm(self.second(y))
        if self.shortcut is None or self.shortcut_norm is None:
            return F.relu(x_bchw + drop_connect(y, drop_rate))
        return F.relu(self.shortcut_norm(self.shortcut(pooled(x_bchw, 2))) + y)


class ElasticBlock(nn.Module):
    """All blocks up to a largest one; parameters are named as in `Block`."""

    def __init__(self, largest: BlockShape) -> None:
        super().__init__()
        stride = 2 if largest.halves else 1
        self.first = ElasticConv2d(largest.in_width, largest.width, 3, stride=stride)
        self.first_norm = ElasticBatchNorm2d(largest.width)
        self.second = ElasticConv2d(largest.width, largest.width, 3)
        self.second_norm = ElasticBatchNorm2d(largest.width)
        self.shortcut = ElasticConv2d(largest.in_width, largest.width) if largest.halves else None
        self.shortcut_norm = ElasticBatchNorm2d(largest.width) if largest.halves else None

    def forward(self, x_bchw: Tensor, width: int, drop_rate: float = 0.0) -> Tensor:
        """(b, in, h, w) -> (b, width, h, w), as `Block`."""
        y = F.relu(self.first_norm(self.first(x_bchw, width)))
        y = self.second_norm(self.second(y, width))
        if self.shortcut is None or self.shortcut_norm is None:
            return F.relu(x_bchw + drop_connect(y, drop_rate))
        return F.relu(self.shortcut_norm(self.shortcut(pooled(x_bchw, 2), width)) + y)


class Backbone(nn.Module):
    """Stand-alone stem and stages."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.stem = nn.Conv2d(plan.in_channels, plan.stem_width, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(plan.stem_width)
        self.stages = nn.ModuleList(
            nn.ModuleList(Block(shape) for shape in shapes) for shapes in plan.stages
        )

    def forward(self, x_bchw: Tensor, drop_rates: Sequence[Sequence[float]]) -> list[Tensor]:
        """(b, in_channels, h, w) -> the outputs of the stages, at strides 4, 8, 16 and 32."""
        x = _rearranged(F.relu(self.stem_norm(self.stem(x_bchw))))
        levels = []
        for blocks, rates in zip(self.stages, drop_rates, strict=True):
            for block, rate in zip(blocks, rates, strict=True):  # type: ignore[call-overload]  # a ModuleList is iterable
                x = block(x, rate)
            levels.append(x)
        return levels


class ElasticBackbone(nn.Module):
    """All backbones up to a largest one; parameters are named as in `Backbone`."""

    def __init__(self, largest: Plan) -> None:
        super().__init__()
        self.stem = ElasticConv2d(largest.in_channels, largest.stem_width, 3, stride=2)
        self.stem_norm = ElasticBatchNorm2d(largest.stem_width)
        self.stages = nn.ModuleList(
            nn.ModuleList(ElasticBlock(shape) for shape in shapes) for shapes in largest.stages
        )

    def forward(
        self, x_bchw: Tensor, plan: Plan, drop_rates: Sequence[Sequence[float]]
    ) -> list[Tensor]:
        """(b, in_channels, h, w) -> the outputs of the plan's stages."""
        x = _rearranged(F.relu(self.stem_norm(self.stem(x_bchw, plan.stem_width))))
        levels = []
        for blocks, width, rates in zip(self.stages, plan.stage_widths, drop_rates, strict=True):
            for block, rate in zip(blocks, rates, strict=False):  # type: ignore[call-overload]  # blocks beyond the depth rest
                x = block(x, width, rate)
            levels.append(x)
        return levels


def _rearranged(x_bchw: Tensor) -> Tensor:
    """Channels last: convolutions then run faster on CPUs and in half precision."""
    return x_bchw.contiguous(memory_format=torch.channels_last)
