"""FOX, the head that predicts the geometry of the text in a RoI, plain and elastic.

That it predicts text centre line, text-line orientation, character scale and character orientation
is the papers' word (arXiv:2004.12436); channels, depth and convolutions are our reconstruction. It
has no batch statistics: how many RoIs there are depends on what the first part finds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticConv2d, ElasticDepthwiseConv2d
from searchspaces.elastic.norm import ElasticGroupNorm
from searchspaces.nask.plan import GROUP_WIDTH, NUM_ATTRIBUTES, FoxShape

# k RoIs, f channels, h height, w width

# Upright text, half as high as its RoI: from there no pair has to cross 0 to be normalised.
_START = (0.0, 0.5, 0.0, -1.0, 1.0, 0.0)
_START_STD = 0.05


class Fox(nn.Module):
    """Stand-alone head of torch's own layers."""

    def __init__(self, shape: FoxShape) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleList(
            FoxLayer(before, after, separable=shape.separable) for before, after in shape.widths
        )
        self.attributes = nn.Conv2d(shape.width, NUM_ATTRIBUTES, 1)

    def forward(self, x_kfhw: Tensor) -> Tensor:
        """(k, f, rows, columns) -> (k, 6, rows, columns), see `TwoLooks.geometry`."""
        x = x_kfhw
        for layer in self.layers:
            x = layer(x)
        return geometry(self.attributes(x))


class FoxLayer(nn.Module):
    """A 3x3 convolution, or a depthwise one and a 1x1; then norm and ReLU."""

    def __init__(self, in_width: int, width: int, *, separable: bool) -> None:
        super().__init__()
        self.plain = None if separable else nn.Conv2d(in_width, width, 3, padding=1, bias=False)
        self.depthwise = (
            nn.Conv2d(in_width, in_width, 3, padding=1, groups=in_width, bias=False)
            if separable
            else None
        )
        self.pointwise = nn.Conv2d(in_width, width, 1, bias=False) if separable else None
        self.norm = nn.GroupNorm(width // GROUP_WIDTH, width)

    def forward(self, x_kfhw: Tensor) -> Tensor:
        """(k, in, h, w) -> (k, width, h, w)."""
        if self.plain is not None:
            y = self.plain(x_kfhw)
        else:
            assert self.depthwise is not None
            assert self.pointwise is not None
            y = self.pointwise(self.depthwise(x_kfhw))
        return F.relu(self.norm(y))


class ElasticFox(nn.Module):
    """All heads up to a largest one; parameters are named as in `Fox`."""

    def __init__(self, largest: FoxShape, *, plain: bool, separable: bool) -> None:
        """`plain`, `separable`: whether any head has such layers."""
        super().__init__()
        self.layers = nn.ModuleList(
            ElasticFoxLayer(before, after, plain=plain, separable=separable)
            for before, after in largest.widths
        )
        self.attributes = ElasticConv2d(largest.width, NUM_ATTRIBUTES, bias=True)
        start_fox(self)

    def forward(self, x_kfhw: Tensor, shape: FoxShape) -> Tensor:
        """(k, f, rows, columns) -> (k, 6, rows, columns)."""
        x = x_kfhw
        for _, layer in zip(range(shape.depth), self.layers, strict=False):
            x = layer(x, shape.width, separable=shape.separable)
        return geometry(self.attributes(x, NUM_ATTRIBUTES))


class ElasticFoxLayer(nn.Module):
    """Both kinds of layer, each with weights of its own."""

    def __init__(self, in_width: int, width: int, *, plain: bool, separable: bool) -> None:
        super().__init__()
        self.plain = ElasticConv2d(in_width, width, 3) if plain else None
        self.depthwise = ElasticDepthwiseConv2d(in_width, 3) if separable else None
        self.pointwise = ElasticConv2d(in_width, width) if separable else None
        self.norm = ElasticGroupNorm(width)

    def forward(self, x_kfhw: Tensor, width: int, *, separable: bool) -> Tensor:
        """(k, in, h, w) -> (k, width, h, w)."""
        if separable:
            assert self.depthwise is not None
            assert self.pointwise is not None
            y = self.pointwise(self.depthwise(x_kfhw, 3), width)
        else:
            assert self.plain is not None
            y = self.plain(x_kfhw, width)
        return F.relu(self.norm(y, width // GROUP_WIDTH))


def start_fox(fox: Fox | ElasticFox) -> None:
    """Every pixel starts near upright text of half the RoI's height."""
    assert fox.attributes.bias is not None
    nn.init.normal_(fox.attributes.weight, std=_START_STD)
    with torch.no_grad():
        fox.attributes.bias.copy_(torch.tensor(_START))


def geometry(raw_k6hw: Tensor) -> Tensor:
    """Brings both pairs of cosine and sine to unit length, in float32 at least."""
    raw = raw_k6hw.to(torch.promote_types(raw_k6hw.dtype, torch.float32))
    character, line = (F.normalize(pair, dim=1) for pair in (raw[:, 2:4], raw[:, 4:]))
    return torch.cat([raw[:, :2], character, line], dim=1)
