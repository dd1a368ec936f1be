"""Squeeze-and-excitation (Hu et al. 2018, arXiv:1709.01507), plain and elastic."""

from __future__ import annotations

from torch import Tensor, nn

from searchspaces.elastic.activation import SWISH, Activations
from searchspaces.elastic.conv import ElasticConv2d

# b batch, c channels, h height, w width


class SqueezeExcitation(nn.Module):
    """Scales every channel by a gate computed from the means of all channels."""

    def __init__(self, channels: int, squeeze: int, activations: Activations = SWISH) -> None:
        super().__init__()
        self.activations = activations
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.expand = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, c, h, w) -> the same shape."""
        gate = self.expand(self.activations.squeeze(self.reduce(x_bchw.mean((2, 3), keepdim=True))))
        return x_bchw * self.activations.gate(gate)


class ElasticSqueezeExcitation(nn.Module):
    """The same on slices; the squeeze width is named by the caller, the width is the input's."""

    def __init__(self, channels: int, squeeze: int, activations: Activations = SWISH) -> None:
        super().__init__()
        self.activations = activations
        self.reduce = ElasticConv2d(channels, squeeze, bias=True)
        self.expand = ElasticConv2d(squeeze, channels, bias=True)

    def forward(self, x_bchw: Tensor, squeeze: int) -> Tensor:
        """(b, c, h, w) -> the same shape."""
        squeezed = self.activations.squeeze(self.reduce(x_bchw.mean((2, 3), keepdim=True), squeeze))
        return x_bchw * self.activations.gate(self.expand(squeezed, x_bchw.shape[1]))
