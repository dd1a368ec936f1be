"""The largest ElasticViT network, of which every architecture runs on views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.base import Architecture
from searchspaces.elastic.activation import HARD_SWISH
from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.linear import ElasticLinear
from searchspaces.elastic.mbconv import ElasticMBConv
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.elastic.resolution import resized
from searchspaces.elastic.transformer import ElasticTransformerLayer, as_tokens, on_grid
from searchspaces.elasticvit.plan import Plan, TransformerBlocks
from searchspaces.elasticvit.subnet import initialise

# b batch, c channels, h height, w width, n tokens


class ElasticTransformerStage(nn.Module):
    """All shapes of one transformer stage; parameters are named as in `TransformerStageNetwork`."""

    def __init__(
        self, largest: TransformerBlocks, *, shortcut_conv: bool, joint_norm: bool
    ) -> None:
        super().__init__()
        self.reduction = ElasticMBConv(
            largest.reduction, shortcut_conv=shortcut_conv, activations=HARD_SWISH
        )
        self.layers = nn.ModuleList(
            ElasticTransformerLayer(shape, joint_norm=joint_norm) for shape in largest.layers
        )

    def forward(
        self, x_bchw: Tensor, blocks: TransformerBlocks, rates: tuple[float, ...]
    ) -> Tensor:
        """(b, c, h, w) -> (b, width, ceil(h / stride), ceil(w / stride))."""
        x_bchw = self.reduction(x_bchw, blocks.reduction)
        x_bnc = as_tokens(x_bchw)
        for layer, shape, rate in zip(
            self.layers, blocks.layers, rates, strict=False
        ):  # layers beyond the depth rest
            x_bnc = layer(x_bnc, shape, rate)
        return on_grid(x_bnc, x_bchw.shape[2])


class ElasticViTSupernet(nn.Module):
    """One set of weights for a whole space; parameters are named as in `ElasticViTSubnet`.

    Dropout and drop-connect act when the forward's arguments are above 0, whatever the mode; batch
    statistics are always used.
    """

    def __init__(
        self,
        largest: Plan,
        plan: Callable[[Architecture], Plan],
        *,
        width_changes: Sequence[bool],
        joint_norm: bool,
    ) -> None:
        """
        Args:
            largest: The network of every largest option.
            plan: Returns the plan of an architecture.
            width_changes: True for each stage whose first block changes the width in some subnet.
            joint_norm: Takes layer norms' statistics over all tokens of a sample.
        """
        super().__init__()
        self.plan = plan
        self.first = ElasticConv2d(
            largest.in_channels, largest.first_width, 3, stride=largest.first_stride
        )
        self.first_norm = ElasticBatchNorm2d(largest.first_width)
        self.conv_stages = nn.ModuleList()
        num_conv = len(largest.conv_stages)
        for shapes, changes in zip(largest.conv_stages, width_changes[:num_conv], strict=True):
            blocks = (
                ElasticMBConv(shape, shortcut_conv=changes and layer == 0, activations=HARD_SWISH)
                for layer, shape in enumerate(shapes)
            )
            self.conv_stages.append(nn.ModuleList(blocks))
        self.transformer_stages = nn.ModuleList(
            ElasticTransformerStage(blocks, shortcut_conv=changes, joint_norm=joint_norm)
            for blocks, changes in zip(
                largest.transformer_stages, width_changes[num_conv:], strict=True
            )
        )
        self.mixing = ElasticLinear(largest.trunk_width, largest.mixing_width)
        self.mixing_norm = ElasticBatchNorm2d(largest.mixing_width)
        self.head = ElasticLinear(largest.mixing_width, largest.head_width)
        self.classifier = ElasticLinear(largest.head_width, largest.num_classes)
        initialise(self)

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
        conv_rates, layer_rates = plan.drop_rates(drop_connect)
        x: Tensor = resized(x_bchw, plan.resolution)
        x = F.hardswish(self.first_norm(self.first(x, plan.first_width)))
        x = x.contiguous(
            memory_format=torch.channels_last
        )  # convolutions then run about twice as fast on CPUs and in half precision
        for blocks, shapes, rates in zip(
            self.conv_stages, plan.conv_stages, conv_rates, strict=True
        ):
            for block, shape, rate in zip(blocks, shapes, rates, strict=False):  # type: ignore[call-overload]  # blocks beyond the depth rest
                x = block(x, shape, rate)
        for stage, shapes_of, rates in zip(
            self.transformer_stages, plan.transformer_stages, layer_rates, strict=True
        ):
            x = stage(x, shapes_of, rates)
        x_bnc = self.mixing(as_tokens(x), plan.mixing_width)
        x_bnc = self.mixing_norm(x_bnc.flatten(0, 1)).view_as(x_bnc)
        x = F.hardswish(self.head(F.hardswish(x_bnc).mean(1)))
        logits: Tensor = self.classifier(F.dropout(x, dropout) if dropout else x)
        return logits
