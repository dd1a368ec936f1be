"""The parts of the ViT-ResNAS supernet: on slices for one network, or masked for many networks in
one batch.

Names of parameters are those of `searchspaces.vit_resnas.subnet`. A network uses the first
channels, heads and hidden units of everything; queries, keys and values have a weight each, so that
this holds for each of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.drop_connect import drop_connect
from searchspaces.elastic.linear import ElasticLinear
from searchspaces.elastic.norm import ElasticBatchNorm2d, ElasticTokenNorm
from searchspaces.elastic.slicing import sliced
from searchspaces.elastic.transformer import as_tokens, on_grid
from searchspaces.vit_resnas.plan import BlockShape, ReductionShape, StemShape
from searchspaces.vit_resnas.subnet import EPS, attend, reduced_residual, with_class_token

# b batch, c channels, h height, w width, n tokens: the class token first, then the patches


@dataclass(frozen=True)
class BlockMasks:
    """Masks of ones and zeros that say what each image's network keeps of one block.

    Attributes:
        width: (b, 1, c) channels of a token.
        inner: (b, 1, heads d) channels of the heads.
        hidden: (b, 1, f) hidden units.
        exists: (b, 1, 1) whether the network has the block.
    """

    width: Tensor
    inner: Tensor
    hidden: Tensor
    exists: Tensor


def masked_layer_norm(
    x_bnc: Tensor, mask_b1c: Tensor, weight: Tensor, bias: Tensor, eps: float
) -> Tensor:
    """Layer norm over the channels that the mask keeps, zero elsewhere; `x_bnc` is zero there
    already. In float32.

    Equal to the layer norm of the kept channels alone, also in its gradients, of which those into
    masked channels have no meaning.
    """
    x, mask = x_bnc.float(), mask_b1c.float()
    kept = mask.sum(dim=2, keepdim=True)
    centred = (x - x.sum(dim=2, keepdim=True) / kept) * mask
    variance = centred.square().sum(dim=2, keepdim=True) / kept
    return (centred * (variance + eps).rsqrt() * weight + bias * mask).to(x_bnc.dtype)


class ElasticStem(nn.Module):
    """All widths of the stem; its middle channels are not searched, so the batch norms are the same
    for all networks.
    """

    def __init__(self, largest: StemShape) -> None:
        super().__init__()
        middle = largest.middle
        self.middle = middle
        self.first = ElasticConv2d(largest.in_channels, middle, 3, stride=largest.stride)
        self.first_norm = ElasticBatchNorm2d(middle)
        self.second = ElasticConv2d(middle, middle, 3)
        self.second_norm = ElasticBatchNorm2d(middle)
        self.third = ElasticConv2d(middle, middle, 3)
        self.third_norm = ElasticBatchNorm2d(middle)
        self.patches = ElasticConv2d(
            middle, largest.width, largest.patch, stride=largest.patch, padding=0, bias=True
        )
        self.class_token = nn.Parameter(torch.zeros(largest.width))
        self.positions = nn.Parameter(torch.zeros(largest.grid**2 + 1, largest.width))

    def forward(self, x_bchw: Tensor, width: int) -> Tensor:
        """(b, in_channels, h, w) -> (b, grid^2 + 1, width)."""
        first = F.relu(self.first_norm(self.first(x_bchw, self.middle)))
        second = F.relu(self.second_norm(self.second(first, self.middle)))
        x = first + F.relu(self.third_norm(self.third(second, self.middle)))
        tokens = with_class_token(
            as_tokens(self.patches(x, width)), sliced(self.class_token, (width,))
        )
        return tokens + sliced(self.positions, (len(self.positions), width))


class ElasticBlock(nn.Module):
    """All shapes of one block."""

    def __init__(self, largest: BlockShape) -> None:
        super().__init__()
        self.largest = largest
        self.attention_norm = ElasticTokenNorm(largest.width, joint=False, eps=EPS)
        self.query = ElasticLinear(largest.width, largest.inner)
        self.key = ElasticLinear(largest.width, largest.inner)
        self.value = ElasticLinear(largest.width, largest.inner)
        self.project = ElasticLinear(largest.inner, largest.width)
        self.hidden_norm = ElasticTokenNorm(largest.width, joint=False, eps=EPS)
        self.hidden = ElasticLinear(largest.width, largest.hidden)
        self.output = ElasticLinear(largest.hidden, largest.width)

    def forward(self, x_bnc: Tensor, shape: BlockShape, drop_rate: float = 0.0) -> Tensor:
        """(b, n, shape.width) -> the same shape, by one network's block."""
        y = self.attention_norm(x_bnc)
        inner = shape.inner
        attended = attend(
            self.query(y, inner), self.key(y, inner), self.value(y, inner), shape.heads
        )
        x = x_bnc + drop_connect(self.project(attended, shape.width), drop_rate)
        hidden = F.gelu(self.hidden(self.hidden_norm(x), shape.hidden))
        return x + drop_connect(self.output(hidden, shape.width), drop_rate)

    def masked(self, x_bnc: Tensor, masks: BlockMasks, drop_rate: float = 0.0) -> Tensor:
        """(b, n, largest width) -> the same shape, each image by its own network; costs what the
        largest block costs.
        """
        keep = masks.width * masks.exists
        y = self._masked_norm(self.attention_norm, x_bnc, masks)
        attended = (
            attend(self.query(y), self.key(y), self.value(y), self.largest.heads) * masks.inner
        )
        x = x_bnc + drop_connect(self.project(attended) * keep, drop_rate)
        hidden = F.gelu(self.hidden(self._masked_norm(self.hidden_norm, x, masks))) * masks.hidden
        return x + drop_connect(self.output(hidden) * keep, drop_rate)

    @torch.no_grad()
    def unit_orders(self, prefix: str) -> list[tuple[Tensor, list[tuple[str, int]]]]:
        """The orders of heads, as channels, and of hidden units; see
        `ViTResNASSupernet.unit_orders`.
        """
        into_c = _leading_in(self.query) + _leading_in(self.key) + _leading_in(self.value)
        per_head = (into_c + self.project.weight.abs().sum(dim=0)).view(self.largest.heads, -1)
        heads = per_head.sum(dim=1).argsort(descending=True, stable=True)
        channels = (
            torch.arange(self.largest.inner, device=heads.device)
            .view(self.largest.heads, -1)[heads]
            .flatten()
        )
        strength = _leading_in(self.hidden) + self.output.weight.abs().sum(dim=0)
        units = strength.argsort(descending=True, stable=True)
        of_heads = [
            (f"{prefix}{name}.{kind}", 0)
            for name in ("query", "key", "value")
            for kind in ("weight", "bias")
        ]
        of_units = [
            (f"{prefix}hidden.weight", 0),
            (f"{prefix}hidden.bias", 0),
            (f"{prefix}output.weight", 1),
        ]
        return [(channels, [*of_heads, (f"{prefix}project.weight", 1)]), (units, of_units)]

    def _masked_norm(self, norm: ElasticTokenNorm, x_bnc: Tensor, masks: BlockMasks) -> Tensor:
        return masked_layer_norm(x_bnc, masks.width, norm.weight, norm.bias, norm.eps)


def _leading_in(linear: ElasticLinear) -> Tensor:
    """(o,): sum of the absolute weights, and of the bias, that lead into each output."""
    weights = linear.weight.abs().sum(dim=1)
    return weights if linear.bias is None else weights + linear.bias.abs()


class ElasticReduction(nn.Module):
    """All shapes of one residual spatial reduction."""

    def __init__(self, largest: ReductionShape) -> None:
        super().__init__()
        self.largest = largest
        self.norm = ElasticTokenNorm(largest.in_width, joint=False, eps=EPS)
        self.patches = ElasticConv2d(largest.in_width, largest.out_width, 3, stride=2, bias=True)
        self.class_token = ElasticLinear(largest.in_width, largest.out_width)
        self.positions = nn.Parameter(torch.zeros(largest.grid**2, largest.out_width))

    def forward(self, x_bnc: Tensor, shape: ReductionShape) -> Tensor:
        """(b, 4 grid^2 + 1, shape.in_width) -> (b, grid^2 + 1, shape.out_width)."""
        return self._reduced(self.norm(x_bnc), shape) + reduced_residual(
            x_bnc, shape.out_width, shape.grid
        )

    def masked(self, x_bnc: Tensor, before_b1c: Tensor, after_b1c: Tensor) -> Tensor:
        """(b, 4 grid^2 + 1, largest in) -> (b, grid^2 + 1, largest out), masked by the widths
        before and after.
        """
        y = masked_layer_norm(x_bnc, before_b1c, self.norm.weight, self.norm.bias, self.norm.eps)
        return (
            self._reduced(y, self.largest)
            + reduced_residual(x_bnc, self.largest.out_width, self.largest.grid)
        ) * after_b1c

    def _reduced(self, y_bnc: Tensor, shape: ReductionShape) -> Tensor:
        patches = as_tokens(self.patches(on_grid(y_bnc[:, 1:], 2 * shape.grid), shape.out_width))
        patches = patches + sliced(self.positions, (len(self.positions), shape.out_width))
        return torch.cat([self.class_token(y_bnc[:, :1], shape.out_width), patches], dim=1)


class ElasticStage(nn.Module):
    """All blocks of one stage and the reduction before them."""

    def __init__(self, blocks: tuple[BlockShape, ...], reduction: ReductionShape | None) -> None:
        super().__init__()
        self.reduction = None if reduction is None else ElasticReduction(reduction)
        self.blocks = nn.ModuleDict({str(shape.index): ElasticBlock(shape) for shape in blocks})

    def places(self) -> list[tuple[int, ElasticBlock]]:
        """Every block with its place in the stage."""
        return [
            (int(key), block)
            for key, block in self.blocks.items()
            if isinstance(block, ElasticBlock)
        ]
