"""Group spatial and channel attention (GSCA), plain and elastic.

That attention relates any two positions across space and channels in groups is the papers' word
(arXiv:2004.12436, arXiv:2106.12720); kernel, norm and placement are our reconstruction after its
sibling, compact generalized non-local networks (Yue et al. 2018, arXiv:1810.13125).

With the dot kernel the affinity of all L = c h w entries of a group, t p', is never built:
(t p') v = t (p' v), a gain per sample and group. A Taylor expansion of the RBF kernel has such a
term for every power of t. The group norm behind it then takes the size of the dot kernel's gain
away again and leaves its sign, since both have the same groups; of Taylor's terms the constant one,
the mean of v, weighs most.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.initialisation import he_normal_
from searchspaces.elastic.norm import ElasticGroupNorm
from searchspaces.elastic.slicing import sliced
from searchspaces.nask.layers.pyramid import enlarged, fitted
from searchspaces.nask.plan import AttentionShape, Kernel

# b batch, g groups, l = channels of a group x h x w, c channels, h height, w width

_GAMMA = 1e-4  # of the RBF kernel, as its authors' code has it
_ORDER = 2


class Attention(nn.Module):
    """A stand-alone block of torch's own layers."""

    def __init__(self, shape: AttentionShape) -> None:
        super().__init__()
        self.shape = shape
        self.query = nn.Conv2d(shape.width, shape.inner_width, 1, bias=False)
        self.key = nn.Conv2d(shape.width, shape.inner_width, 1, bias=False)
        self.value = nn.Conv2d(shape.width, shape.inner_width, 1, bias=False)
        self.project = nn.Conv2d(shape.inner_width, shape.width, 1, groups=shape.groups, bias=False)
        self.norm = nn.GroupNorm(shape.groups, shape.width)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, width, h, w) -> the same shape."""
        x = pooled_to(x_bchw, self.shape)
        attended = attend(
            self.query(x), self.key(x), self.value(x), self.shape.groups, self.shape.kernel
        )
        return x_bchw + enlarged_to(self.norm(self.project(attended)), x_bchw)


class ElasticAttention(nn.Module):
    """All blocks up to a largest one; parameters are named as in `Attention`, but `project` holds
    the weight without groups.
    """

    def __init__(self, width: int, inner_width: int) -> None:
        super().__init__()
        self.query = ElasticConv2d(width, inner_width)
        self.key = ElasticConv2d(width, inner_width)
        self.value = ElasticConv2d(width, inner_width)
        self.project = GroupsOfOne(inner_width, width)
        self.norm = ElasticGroupNorm(width)
        start_attention(self)

    def forward(self, x_bchw: Tensor, shape: AttentionShape) -> Tensor:
        """(b, shape.width, h, w) -> the same shape."""
        x, inner = pooled_to(x_bchw, shape), shape.inner_width
        attended = attend(
            self.query(x, inner),
            self.key(x, inner),
            self.value(x, inner),
            shape.groups,
            shape.kernel,
        )
        projected = self.norm(self.project(attended, shape.width, shape.groups), shape.groups)
        return x_bchw + enlarged_to(projected, x_bchw)


class GroupsOfOne(nn.Module):
    """A 1x1 convolution in any number of groups: the blocks on the diagonal of one weight, so that
    an entry joins the same two channels whatever the groups.

    Attributes:
        weight: (largest out, largest in, 1, 1), He-normal.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 1, 1))
        he_normal_(self.weight)

    def forward(self, x_bchw: Tensor, out_channels: int, groups: int) -> Tensor:
        """(b, in, h, w) -> (b, out_channels, h, w)."""
        weight = self.grouped(x_bchw.shape[1], out_channels, groups)
        return F.conv2d(x_bchw, weight, groups=groups)

    def grouped(self, in_channels: int, out_channels: int, groups: int) -> Tensor:
        """(out_channels, in_channels / groups, 1, 1), as a grouped convolution takes it."""
        own = sliced(self.weight, (out_channels, in_channels, 1, 1))
        if groups == 1:
            return own
        blocks = own.reshape(groups, out_channels // groups, groups, in_channels // groups)
        diagonal = blocks.diagonal(dim1=0, dim2=2).permute(2, 0, 1)
        return diagonal.reshape(out_channels, in_channels // groups, 1, 1)


def start_attention(block: Attention | ElasticAttention) -> None:
    """The norm's scale starts at 0, so that the block starts as the identity."""
    nn.init.zeros_(block.norm.weight)


def copy_projection(source: ElasticAttention, target: Attention) -> None:
    """Fills the grouped weight of `target` from the one without groups."""
    shape = target.shape
    with torch.no_grad():
        target.project.weight.copy_(
            source.project.grouped(shape.inner_width, shape.width, shape.groups)
        )


def attend(query: Tensor, key: Tensor, value: Tensor, groups: int, kernel: Kernel) -> Tensor:
    """(b, c, h, w) three times -> (b, c, h, w): every entry of a group by its affinity to all of
    the group's, over their number.

    Sums run over up to a million entries: they are taken in float32 at least.
    """
    exact = torch.promote_types(query.dtype, torch.float32)
    t, p, v = (x.to(exact).reshape(x.shape[0], groups, -1) for x in (query, key, value))
    if kernel == "dot":
        attended = t * (p * v).mean(2, keepdim=True)
    else:
        terms = [
            _taylor(power) * t**power * (p**power * v).mean(2, keepdim=True)
            for power in range(1, _ORDER + 1)
        ]
        attended = sum(terms, start=(_taylor(0) * v.mean(2, keepdim=True)).expand_as(t))
    return attended.reshape(query.shape).to(query.dtype)


def _taylor(power: int) -> float:
    """The coefficient of a power in exp(-2 gamma (1 - t p)), the kernel of unit vectors."""
    return math.exp(-2 * _GAMMA) * (2 * _GAMMA) ** power / math.factorial(power)


def pooled_to(x_bchw: Tensor, shape: AttentionShape) -> Tensor:
    """2x2 means of the fused map where attention acts at stride 8, or else the map itself."""
    if shape.placement != "stride8":
        return x_bchw
    return F.avg_pool2d(x_bchw, 2, ceil_mode=True, count_include_pad=False)


def enlarged_to(x_bchw: Tensor, like: Tensor) -> Tensor:
    """Undoes `pooled_to`, bilinear."""
    return x_bchw if x_bchw.shape == like.shape else fitted(enlarged(x_bchw, 2), like)
