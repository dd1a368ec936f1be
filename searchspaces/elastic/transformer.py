"""A pre-norm transformer layer with relative positions and a depthwise convolution on the values:
shape, costs, plain and elastic.

The layer of ElasticViT (Tang et al. 2023, arXiv:2303.09730). Queries, keys and values have a weight
each, so that a row's role never depends on the width. (Their released code slices one fused weight
and splits it afterwards by heads: a head's queries, keys and values then come from one contiguous
chunk, and what a row does changes with the subnet.)
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticDepthwiseConv2d
from searchspaces.elastic.drop_connect import drop_connect
from searchspaces.elastic.linear import ElasticLinear
from searchspaces.elastic.norm import ElasticTokenNorm, JointTokenNorm
from searchspaces.elastic.shapes import TransformerShape
from searchspaces.elastic.slicing import sliced

# b batch, n tokens, c channels, h heads, d channels of a head


class RelativeAttention(nn.Module):
    """Stand-alone attention of torch's own layers over a square grid of tokens.

    Attributes:
        position_bias: (heads, 1, 2 side - 1, 2 side - 1): what is added to the scores, by the
            offset between two tokens.
    """

    def __init__(self, shape: TransformerShape) -> None:
        super().__init__()
        self.shape = shape
        self.query = nn.Linear(shape.width, shape.width, bias=False)
        self.key = nn.Linear(shape.width, shape.width, bias=False)
        self.value = nn.Linear(shape.width, shape.values, bias=False)
        self.local = nn.Conv2d(
            shape.values, shape.values, 3, padding=1, groups=shape.values, bias=False
        )
        self.position_bias = nn.Parameter(
            torch.zeros(shape.heads, 1, 2 * shape.side - 1, 2 * shape.side - 1)
        )
        self.project = nn.Linear(shape.values, shape.width)

    def forward(self, x_bnc: Tensor) -> Tensor:
        """(b, side^2, width) -> the same shape."""
        values = self.local(on_grid(self.value(x_bnc), self.shape.side))
        attended: Tensor = self.project(
            _attended(self.query(x_bnc), self.key(x_bnc), values, self.position_bias, self.shape)
        )
        return attended


class ElasticRelativeAttention(nn.Module):
    """The same on slices: the first channels and heads, the centre of the table of offsets."""

    def __init__(self, largest: TransformerShape) -> None:
        super().__init__()
        self.query = ElasticLinear(largest.width, largest.width, bias=False)
        self.key = ElasticLinear(largest.width, largest.width, bias=False)
        self.value = ElasticLinear(largest.width, largest.values, bias=False)
        self.local = ElasticDepthwiseConv2d(largest.values, 3)
        self.position_bias = nn.Parameter(
            torch.zeros(largest.heads, 1, 2 * largest.side - 1, 2 * largest.side - 1)
        )
        self.project = ElasticLinear(largest.values, largest.width)

    def forward(self, x_bnc: Tensor, shape: TransformerShape) -> Tensor:
        """(b, shape.side^2, shape.width) -> the same shape."""
        values = self.local(on_grid(self.value(x_bnc, shape.values), shape.side), 3)
        offsets = sliced(
            self.position_bias, (shape.heads, 1, 2 * shape.side - 1, 2 * shape.side - 1)
        )
        attended = _attended(
            self.query(x_bnc, shape.width), self.key(x_bnc, shape.width), values, offsets, shape
        )
        projected: Tensor = self.project(attended, shape.width)
        return projected


class TransformerLayer(nn.Module):
    """A stand-alone layer of torch's own parts."""

    def __init__(self, shape: TransformerShape, *, joint_norm: bool) -> None:
        super().__init__()
        norm = JointTokenNorm if joint_norm else nn.LayerNorm
        self.shape = shape
        self.attention_norm = norm(shape.width)
        self.attention = RelativeAttention(shape)
        self.hidden_norm = norm(shape.width)
        self.hidden = nn.Linear(shape.width, shape.hidden)
        self.output = nn.Linear(shape.hidden, shape.width)

    def forward(self, x_bnc: Tensor, drop_rate: float = 0.0) -> Tensor:
        """(b, side^2, width) -> the same shape; `drop_rate` acts on both branches."""
        x = x_bnc + drop_connect(self.attention(self.attention_norm(x_bnc)), drop_rate)
        return x + drop_connect(
            self.output(F.hardswish(self.hidden(self.hidden_norm(x)))), drop_rate
        )


class ElasticTransformerLayer(nn.Module):
    """All layers up to a largest one, on views of its weights; parameters are named as in
    `TransformerLayer`.
    """

    def __init__(self, largest: TransformerShape, *, joint_norm: bool) -> None:
        super().__init__()
        self.attention_norm = ElasticTokenNorm(largest.width, joint=joint_norm)
        self.attention = ElasticRelativeAttention(largest)
        self.hidden_norm = ElasticTokenNorm(largest.width, joint=joint_norm)
        self.hidden = ElasticLinear(largest.width, largest.hidden)
        self.output = ElasticLinear(largest.hidden, largest.width)

    def forward(self, x_bnc: Tensor, shape: TransformerShape, drop_rate: float = 0.0) -> Tensor:
        """(b, shape.side^2, shape.width) -> the same shape."""
        x = x_bnc + drop_connect(self.attention(self.attention_norm(x_bnc), shape), drop_rate)
        hidden = F.hardswish(self.hidden(self.hidden_norm(x), shape.hidden))
        return x + drop_connect(self.output(hidden, shape.width), drop_rate)


@lru_cache(maxsize=64)
def offset_index(side: int, device: torch.device) -> Tensor:
    """(n, n) where in the flattened (2 side - 1)^2 table the offset of the query's token to the
    key's lies.
    """
    with torch.inference_mode(
        False
    ):  # what is first made in an inference pass must serve training passes too
        place = torch.arange(side, device=device)
        row, column = place.repeat_interleave(side), place.repeat(side)
        down = row[:, None] - row[None, :] + side - 1
        right = column[:, None] - column[None, :] + side - 1
        return down * (2 * side - 1) + right


def on_grid(x_bnc: Tensor, side: int) -> Tensor:
    """(b, side^2, c) -> (b, c, side, side), a view."""
    return x_bnc.transpose(1, 2).reshape(x_bnc.shape[0], x_bnc.shape[2], side, side)


def as_tokens(x_bchw: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, h w, c)."""
    return x_bchw.flatten(2).transpose(1, 2)


def _attended(
    query_bnc: Tensor, key_bnc: Tensor, value_bchw: Tensor, offsets: Tensor, shape: TransformerShape
) -> Tensor:
    """(b, n, values): softmax(q k' / sqrt(d) + bias) v, then hard swish."""
    index = offset_index(shape.side, query_bnc.device)
    bias_hnn = offsets.flatten(1)[:, index]
    batch, tokens, _ = query_bnc.shape
    heads = (batch, tokens, shape.heads, shape.head_width)
    query_bhnd, key_bhnd = (
        query_bnc.reshape(heads).transpose(1, 2),
        key_bnc.reshape(heads).transpose(1, 2),
    )
    value_bhdn = value_bchw.reshape(batch, shape.heads, shape.value_width, tokens)
    scores_bhnn = query_bhnd @ key_bhnd.transpose(2, 3) * shape.head_width**-0.5 + bias_hnn
    attended_bhnd = scores_bhnn.softmax(dim=3) @ value_bhdn.transpose(2, 3)
    return F.hardswish(attended_bhnd.transpose(1, 2).flatten(2))
