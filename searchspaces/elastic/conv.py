"""Elastic convolutions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.initialisation import he_normal_
from searchspaces.elastic.slicing import sliced

# b batch, c channels, h height, w width


class ElasticConv2d(nn.Module):
    """A convolution whose output width is named by the caller and whose input width is the input's.

    Padding is half the kernel unless it is named; a side s then becomes ceil(s / stride).

    Attributes:
        weight: (largest out, largest in, *kernel), He-normal.
        bias: (largest out,) zeros, or None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | tuple[int, int] = 1,
        *,
        stride: int = 1,
        padding: int | tuple[int, int] | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.stride = stride
        high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.padding = (high // 2, wide // 2) if padding is None else padding
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, high, wide))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        he_normal_(self.weight)

    def forward(self, x_bchw: Tensor, out_channels: int) -> Tensor:
        """(b, c, h, w) -> (b, out_channels, ceil(h / stride), ceil(w / stride))."""
        weight = sliced(self.weight, (out_channels, x_bchw.shape[1], *self.weight.shape[2:]))
        bias = None if self.bias is None else sliced(self.bias, (out_channels,))
        return F.conv2d(x_bchw, weight, bias, stride=self.stride, padding=self.padding)


class ElasticDepthwiseConv2d(nn.Module):
    """A depthwise convolution whose kernel is named by the caller and whose width is the input's;
    no bias.

    Attributes:
        weight: (largest width, 1, largest kernel, largest kernel), He-normal.
    """

    def __init__(self, channels: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel, kernel))
        he_normal_(self.weight, groups=channels)

    def forward(self, x_bchw: Tensor, kernel: int) -> Tensor:
        """(b, c, h, w) -> (b, c, ceil(h / stride), ceil(w / stride)), by the centre `kernel` x
        `kernel` of the weight.
        """
        width = x_bchw.shape[1]
        weight = sliced(self.weight, (width, 1, kernel, kernel))
        return F.conv2d(x_bchw, weight, stride=self.stride, padding=kernel // 2, groups=width)
