"""One ElasticViT network that stands alone, of torch's own layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.activation import HARD_SWISH
from searchspaces.elastic.initialisation import redraw_as_torch
from searchspaces.elastic.mbconv import ElasticMBConv, MBConv
from searchspaces.elastic.resolution import resized
from searchspaces.elastic.transformer import (
    ElasticRelativeAttention,
    RelativeAttention,
    TransformerLayer,
    as_tokens,
    on_grid,
)
from searchspaces.elasticvit.plan import Plan, TransformerBlocks

# b batch, c channels, h height, w width, n tokens


class TransformerStageNetwork(nn.Module):
    """The leading block and the layers of one transformer stage."""

    def __init__(self, blocks: TransformerBlocks, *, joint_norm: bool) -> None:
        super().__init__()
        self.reduction = MBConv(blocks.reduction, HARD_SWISH)
        self.layers = nn.ModuleList(
            TransformerLayer(shape, joint_norm=joint_norm) for shape in blocks.layers
        )

    def forward(self, x_bchw: Tensor, rates: tuple[float, ...]) -> Tensor:
        """(b, c, h, w) -> (b, width, ceil(h / stride), ceil(w / stride))."""
        x_bchw = self.reduction(x_bchw)
        x_bnc = as_tokens(x_bchw)
        for layer, rate in zip(self.layers, rates, strict=True):
            x_bnc = layer(x_bnc, rate)
        return on_grid(x_bnc, x_bchw.shape[2])


class ElasticViTSubnet(nn.Module):
    """The network of one plan, with running statistics of its own.

    Attributes:
        plan: Plan that it was built from.
    """

    def __init__(self, plan: Plan, *, joint_norm: bool) -> None:
        super().__init__()
        self.plan = plan
        self.first = nn.Conv2d(
            plan.in_channels, plan.first_width, 3, stride=plan.first_stride, padding=1, bias=False
        )
        self.first_norm = nn.BatchNorm2d(plan.first_width)
        self.conv_stages = nn.ModuleList(
            nn.ModuleList(MBConv(shape, HARD_SWISH) for shape in stage)
            for stage in plan.conv_stages
        )
        self.transformer_stages = nn.ModuleList(
            TransformerStageNetwork(b, joint_norm=joint_norm) for b in plan.transformer_stages
        )
        self.mixing = nn.Linear(plan.trunk_width, plan.mixing_width)
        self.mixing_norm = nn.BatchNorm1d(plan.mixing_width)
        self.head = nn.Linear(plan.mixing_width, plan.head_width)
        self.classifier = nn.Linear(plan.head_width, plan.num_classes)

    def forward(self, x_bchw: Tensor, *, dropout: float = 0.0, drop_connect: float = 0.0) -> Tensor:
        """(b, in_channels, h, w) -> (b, num_classes) logits; the regularisers act as in the
        supernet, for training alone.
        """
        conv_rates, layer_rates = self.plan.drop_rates(drop_connect)
        x: Tensor = resized(x_bchw, self.plan.resolution)
        x = F.hardswish(self.first_norm(self.first(x)))
        x = x.contiguous(
            memory_format=torch.channels_last
        )  # convolutions then run about twice as fast on CPUs and in half precision
        for blocks, rates in zip(self.conv_stages, conv_rates, strict=True):
            for block, rate in zip(blocks, rates, strict=True):  # type: ignore[call-overload]  # a ModuleList is iterable
                x = block(x, rate)
        for stage, rates in zip(self.transformer_stages, layer_rates, strict=True):
            x = stage(x, rates)
        x_bnc = self.mixing(as_tokens(x))
        x_bnc = self.mixing_norm(x_bnc.flatten(0, 1)).view_as(x_bnc)
        x = F.hardswish(self.head(F.hardswish(x_bnc).mean(1)))
        logits: Tensor = self.classifier(F.dropout(x, dropout) if dropout else x)
        return logits


def initialise(network: nn.Module) -> None:
    """Draws all weights afresh from torch's global generator, of a subnet or of the supernet.

    As torch draws them, tables of relative positions from a normal distribution of 0.02 cut at 2,
    scales 1; but the last scale of every MBConv block of stride 1 starts at 0, so that the block
    starts as its shortcut.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm):
            module.reset_parameters()
    redraw_as_torch(network)
    for module in network.modules():
        if isinstance(module, RelativeAttention | ElasticRelativeAttention):
            nn.init.trunc_normal_(module.position_bias, std=0.02)
        elif isinstance(module, MBConv | ElasticMBConv) and module.stride == 1:
            nn.init.zeros_(module.project_norm.weight)
