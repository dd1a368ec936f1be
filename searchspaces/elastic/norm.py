"""Elastic normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.slicing import sliced

# b batch, c channels, h height, w width, n tokens


class ElasticBatchNorm2d(nn.Module):
    """Batch norm with one scale and shift for all subnets and no running statistics.

    It normalises with the batch's statistics in training and in evaluation mode alike: each subnet
    has statistics of its own, which only an extracted network can hold.

    Attributes:
        weight: (largest width,) scale; ones.
        bias: (largest width,) shift; zeros.
        eps: Added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, c, h, w) -> the same shape; b x h x w must be above 1."""
        width = (x_bchw.shape[1],)
        return F.batch_norm(
            x_bchw,
            None,
            None,
            sliced(self.weight, width),
            sliced(self.bias, width),
            training=True,
            eps=self.eps,
        )


class ElasticGroupNorm(nn.Module):
    """Group norm of images, whose width is the input's; there is nothing to recalibrate.

    Attributes:
        weight: (largest width,) scale; ones.
        bias: (largest width,) shift; zeros.
        eps: Added to the variance.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_bchw: Tensor, num_groups: int) -> Tensor:
        """(b, c, h, w) -> the same shape; each of `num_groups` runs of neighbouring channels has a
        mean and a variance.
        """
        width = (x_bchw.shape[1],)
        weight, bias = sliced(self.weight, width), sliced(self.bias, width)
        return F.group_norm(x_bchw, num_groups, weight, bias, self.eps)


class ElasticTokenNorm(nn.Module):
    """Layer norm of tokens, whose width is the input's; there is nothing to recalibrate.

    Attributes:
        weight: (largest width,) scale; ones.
        bias: (largest width,) shift; zeros.
        joint: Takes mean and variance over all tokens of a sample together, as torch.nn.GroupNorm
            with one group; else token by token, as torch.nn.LayerNorm.
        eps: Added to the variance.
    """

    def __init__(self, channels: int, *, joint: bool, eps: float = 1e-5) -> None:
        super().__init__()
        self.joint = joint
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x_bnc: Tensor) -> Tensor:
        """(b, n, c) -> the same shape."""
        width = (x_bnc.shape[-1],)
        weight, bias = sliced(self.weight, width), sliced(self.bias, width)
        if not self.joint:
            return F.layer_norm(x_bnc, width, weight, bias, self.eps)
        return F.group_norm(x_bnc.transpose(1, 2), 1, weight, bias, self.eps).transpose(1, 2)


class JointTokenNorm(nn.GroupNorm):
    """The stand-alone form of `ElasticTokenNorm` with `joint`: torch's group norm with one group,
    over tokens.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)

    def forward(self, x_bnc: Tensor) -> Tensor:
        """(b, n, c) -> the same shape."""
        return super().forward(x_bnc.transpose(1, 2)).transpose(1, 2)
