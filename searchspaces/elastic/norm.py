"""Elastic normalisation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.slicing import sliced

# b batch, c channels, h height, w width


class ElasticBatchNorm2d(nn.Module):
    """Batch norm with one scale and shift for all subnets and no running statistics.

    It normalises with the batch's statistics in training and in evaluation mode alike: each subnet has statistics of its own,
    which only an extracted network can hold.

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
        return F.batch_norm(x_bchw, None, None, sliced(self.weight, width), sliced(self.bias, width), training=True, eps=self.eps)
