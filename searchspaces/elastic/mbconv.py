"""MBConv, the inverted bottleneck block with squeeze-and-excitation: its shape and exact costs,
plain, and elastic.

Sandler et al. 2018, arXiv:1801.04381; Tan and Le 2019, arXiv:1905.11946; shortcuts on every block
as in BigNAS, arXiv:2003.11142.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.activation import SWISH, Activations
from searchspaces.elastic.conv import ElasticConv2d, ElasticDepthwiseConv2d
from searchspaces.elastic.drop_connect import drop_connect
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.elastic.shapes import MBConvShape
from searchspaces.elastic.squeeze_excitation import ElasticSqueezeExcitation, SqueezeExcitation

# b batch, c channels, h height, w width


class MBConv(nn.Module):
    """A stand-alone block of torch's own layers."""

    def __init__(self, shape: MBConvShape, activations: Activations = SWISH) -> None:
        super().__init__()
        self.activations = activations
        self.shape = shape
        self.stride = shape.stride
        wide = shape.expanded_width
        self.expand = nn.Conv2d(shape.in_width, wide, 1, bias=False) if shape.expand else None
        self.expand_norm = nn.BatchNorm2d(wide) if shape.expand else None
        self.depthwise = nn.Conv2d(
            wide,
            wide,
            shape.kernel,
            stride=shape.stride,
            padding=shape.kernel // 2,
            groups=wide,
            bias=False,
        )
        self.depthwise_norm = nn.BatchNorm2d(wide)
        self.squeeze_excitation = (
            SqueezeExcitation(wide, shape.squeeze_width, activations)
            if shape.squeeze_width
            else None
        )
        self.project = nn.Conv2d(wide, shape.out_width, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(shape.out_width)
        self.shortcut = (
            nn.Conv2d(shape.in_width, shape.out_width, 1, bias=False)
            if shape.shortcut_conv
            else None
        )

    def forward(self, x_bchw: Tensor, drop_rate: float = 0.0) -> Tensor:
        """(b, in, h, w) -> (b, out, ceil(h / stride), ceil(w / stride)); `drop_rate` acts on
        identity shortcuts only.
        """
        y: Tensor = x_bchw
        if self.expand is not None and self.expand_norm is not None:
            y = self.activations.block(self.expand_norm(self.expand(y)))
        y = self.activations.block(self.depthwise_norm(self.depthwise(y)))
        if self.squeeze_excitation is not None:
            y = self.squeeze_excitation(y)
        y = self.project_norm(self.project(y))
        if not self.shape.shortcut:
            return y
        kept = pooled(x_bchw, self.shape.stride)
        if self.shortcut is not None:
            kept = self.shortcut(kept)
        return kept + (drop_connect(y, drop_rate) if self.shape.identity else y)


class ElasticMBConv(nn.Module):
    """All blocks up to a largest one, on views of its weights; parameters are named as in
    `MBConv`.
    """

    def __init__(
        self, largest: MBConvShape, *, shortcut_conv: bool, activations: Activations = SWISH
    ) -> None:
        """`shortcut_conv`: whether any subnet's block has a shortcut between different widths."""
        super().__init__()
        self.activations = activations
        self.stride = largest.stride
        wide = largest.expanded_width
        self.expand = ElasticConv2d(largest.in_width, wide) if largest.expand else None
        self.expand_norm = ElasticBatchNorm2d(wide) if largest.expand else None
        self.depthwise = ElasticDepthwiseConv2d(wide, largest.kernel, stride=largest.stride)
        self.depthwise_norm = ElasticBatchNorm2d(wide)
        self.squeeze_excitation = (
            ElasticSqueezeExcitation(wide, largest.squeeze_width, activations)
            if largest.squeeze_width
            else None
        )
        self.project = ElasticConv2d(wide, largest.out_width)
        self.project_norm = ElasticBatchNorm2d(largest.out_width)
        self.shortcut = (
            ElasticConv2d(largest.in_width, largest.out_width) if shortcut_conv else None
        )

    def forward(self, x_bchw: Tensor, shape: MBConvShape, drop_rate: float = 0.0) -> Tensor:
        """(b, shape.in_width, h, w) -> (b, shape.out_width, ceil(h / stride), ceil(w / stride)) by
        the block of this shape.
        """
        y: Tensor = x_bchw
        if self.expand is not None and self.expand_norm is not None:
            y = self.activations.block(self.expand_norm(self.expand(y, shape.expanded_width)))
        y = self.activations.block(self.depthwise_norm(self.depthwise(y, shape.kernel)))
        if self.squeeze_excitation is not None:
            y = self.squeeze_excitation(y, shape.squeeze_width)
        y = self.project_norm(self.project(y, shape.out_width))
        if not shape.shortcut:
            return y
        kept = pooled(x_bchw, shape.stride)
        if shape.shortcut_conv and self.shortcut is not None:
            kept = self.shortcut(kept, shape.out_width)
        return kept + (drop_connect(y, drop_rate) if shape.identity else y)


def pooled(x_bchw: Tensor, stride: int) -> Tensor:
    """(b, c, h, w) -> (b, c, ceil(h / stride), ceil(w / stride)): 2x2 means at stride 2, the input
    itself at stride 1.

    An odd side is padded by one at its start; a mean counts only what the image has.
    """
    if stride == 1:
        return x_bchw
    padding = (x_bchw.shape[2] % 2, x_bchw.shape[3] % 2)
    return F.avg_pool2d(x_bchw, 2, stride=2, padding=padding, count_include_pad=False)
