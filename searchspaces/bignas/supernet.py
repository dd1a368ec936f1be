"""The largest BigNAS network, of which every architecture runs on views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.base import Architecture
from searchspaces.bignas.plan import Plan
from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.linear import ElasticLinear
from searchspaces.elastic.mbconv import ElasticMBConv
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.elastic.resolution import resized

# b batch, c channels, h height, w width


class BigNASSupernet(nn.Module):
    """One set of weights for a whole space; parameters are named as in `BigNASSubnet`.

    Dropout and drop-connect act when the forward's arguments are above 0, whatever the mode; batch
    statistics are always used.
    """

    def __init__(
        self,
        largest: Plan,
        plan: Callable[[Architecture], Plan],
        *,
        width_changes: Sequence[bool],
        shortcut_convs: bool,
        zero_gamma: bool,
    ) -> None:
        """
        Args:
            largest: The network of every largest option.
            plan: Returns the plan of an architecture.
            width_changes: True for each stage whose first block changes the width in some subnet.
            shortcut_convs: Gives blocks that change the width a shortcut.
            zero_gamma: Starts at 0 the last scale of every block that has a shortcut in all
                subnets.
        """
        super().__init__()
        self.plan = plan
        self.stem = ElasticConv2d(
            largest.in_channels, largest.stem_width, 3, stride=largest.stem_stride
        )
        self.stem_norm = ElasticBatchNorm2d(largest.stem_width)
        self.stages = nn.ModuleList()
        for shapes, changes in zip(largest.stages, width_changes, strict=True):
            blocks = [
                ElasticMBConv(shape, shortcut_conv=shortcut_convs and changes and layer == 0)
                for layer, shape in enumerate(shapes)
            ]
            self.stages.append(nn.ModuleList(blocks))
            for layer, block in enumerate(blocks):
                if zero_gamma and (shortcut_convs or not changes or layer > 0):
                    nn.init.zeros_(block.project_norm.weight)
        self.last = ElasticConv2d(largest.trunk_width, largest.last_width)
        self.last_norm = ElasticBatchNorm2d(largest.last_width)
        self.classifier = ElasticLinear(largest.last_width, largest.num_classes)

    def forward(
        self,
        x_bchw: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Tensor:
        """(b, in_channels, h, w) -> (b, num_classes) logits of the architecture's network."""
        plan = self.plan(architecture)
        x: Tensor = resized(x_bchw, plan.resolution)
        x = F.silu(self.stem_norm(self.stem(x, plan.stem_width)))
        x = x.contiguous(
            memory_format=torch.channels_last
        )  # convolutions then run about twice as fast on CPUs and in half precision
        for blocks, shapes, rates in zip(
            self.stages, plan.stages, plan.drop_rates(drop_connect), strict=True
        ):
            for block, shape, rate in zip(blocks, shapes, rates, strict=False):  # type: ignore[call-overload]  # blocks beyond the depth rest
                x = block(x, shape, rate)
        x = F.silu(self.last_norm(self.last(x, plan.last_width))).mean((2, 3))
        logits: Tensor = self.classifier(F.dropout(x, dropout) if dropout else x)
        return logits
