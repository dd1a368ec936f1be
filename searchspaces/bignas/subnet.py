"""One BigNAS network that stands alone, of torch's own layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.bignas.plan import Plan
from searchspaces.elastic.initialisation import initialise
from searchspaces.elastic.mbconv import MBConv
from searchspaces.elastic.resolution import resized

# b batch, c channels, h height, w width


class BigNASSubnet(nn.Module):
    """The network of one plan, with running statistics of its own.

    Attributes:
        plan: Plan that it was built from.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.stem = nn.Conv2d(
            plan.in_channels, plan.stem_width, 3, stride=plan.stem_stride, padding=1, bias=False
        )
        self.stem_norm = nn.BatchNorm2d(plan.stem_width)
        self.stages = nn.ModuleList(
            nn.ModuleList(MBConv(shape) for shape in shapes) for shapes in plan.stages
        )
        self.last = nn.Conv2d(plan.trunk_width, plan.last_width, 1, bias=False)
        self.last_norm = nn.BatchNorm2d(plan.last_width)
        self.classifier = nn.Linear(plan.last_width, plan.num_classes)

    def forward(self, x_bchw: Tensor, *, dropout: float = 0.0, drop_connect: float = 0.0) -> Tensor:
        """(b, in_channels, h, w) -> (b, num_classes) logits; the regularisers act as in the
        supernet, for training alone.
        """
        x: Tensor = resized(x_bchw, self.plan.resolution)
        x = F.silu(self.stem_norm(self.stem(x)))
        x = x.contiguous(
            memory_format=torch.channels_last
        )  # convolutions then run about twice as fast on CPUs and in half precision
        for blocks, rates in zip(self.stages, self.plan.drop_rates(drop_connect), strict=True):
            for block, rate in zip(blocks, rates, strict=True):  # type: ignore[call-overload]  # a ModuleList is iterable
                x = block(x, rate)
        x = F.silu(self.last_norm(self.last(x))).mean((2, 3))
        logits: Tensor = self.classifier(F.dropout(x, dropout) if dropout else x)
        return logits


def initialise_subnet(subnet: nn.Module, *, zero_gamma: bool) -> None:
    """Draws all weights afresh from torch's global generator, by the supernet's rules at the
    subnet's own widths.
    """
    initialise(subnet)
    for module in subnet.modules():
        if zero_gamma and isinstance(module, MBConv) and module.shape.shortcut:
            nn.init.zeros_(module.project_norm.weight)
