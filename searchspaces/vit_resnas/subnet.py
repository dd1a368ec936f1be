"""One ViT-ResNAS network that stands alone, of torch's own layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.drop_connect import drop_connect
from searchspaces.elastic.resolution import resized
from searchspaces.elastic.transformer import as_tokens, on_grid
from searchspaces.vit_resnas.plan import BlockShape, Plan, ReductionShape, StemShape

# b batch, c channels, h height, w width, n tokens: the class token first, then the patches

EPS = 1e-6  # of all layer norms


class Stem(nn.Module):
    """Three 3x3 convolutions with a residual, a convolution into patches, the class token and
    positions.

    Attributes:
        class_token: (width,) learned.
        positions: (grid^2 + 1, width) learned.
    """

    def __init__(self, shape: StemShape) -> None:
        super().__init__()
        self.first = nn.Conv2d(
            shape.in_channels, shape.middle, 3, stride=shape.stride, padding=1, bias=False
        )
        self.first_norm = nn.BatchNorm2d(shape.middle)
        self.second = nn.Conv2d(shape.middle, shape.middle, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(shape.middle)
        self.third = nn.Conv2d(shape.middle, shape.middle, 3, padding=1, bias=False)
        self.third_norm = nn.BatchNorm2d(shape.middle)
        self.patches = nn.Conv2d(shape.middle, shape.width, shape.patch, stride=shape.patch)
        self.class_token = nn.Parameter(torch.zeros(shape.width))
        self.positions = nn.Parameter(torch.zeros(shape.grid**2 + 1, shape.width))

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, in_channels, h, w) -> (b, grid^2 + 1, width)."""
        first = F.relu(self.first_norm(self.first(x_bchw)))
        second = F.relu(self.second_norm(self.second(first)))
        x = first + F.relu(self.third_norm(self.third(second)))
        return with_class_token(as_tokens(self.patches(x)), self.class_token) + self.positions


class Block(nn.Module):
    """A pre-norm transformer block whose heads need not add up to its width."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.shape = shape
        self.attention_norm = nn.LayerNorm(shape.width, eps=EPS)
        self.query = nn.Linear(shape.width, shape.inner)
        self.key = nn.Linear(shape.width, shape.inner)
        self.value = nn.Linear(shape.width, shape.inner)
        self.project = nn.Linear(shape.inner, shape.width)
        self.hidden_norm = nn.LayerNorm(shape.width, eps=EPS)
        self.hidden = nn.Linear(shape.width, shape.hidden)
        self.output = nn.Linear(shape.hidden, shape.width)

    def forward(self, x_bnc: Tensor, drop_rate: float = 0.0) -> Tensor:
        """(b, n, width) -> the same shape; `drop_rate` acts on both branches."""
        y = self.attention_norm(x_bnc)
        attended = attend(self.query(y), self.key(y), self.value(y), self.shape.heads)
        x = x_bnc + drop_connect(self.project(attended), drop_rate)
        return x + drop_connect(self.output(F.gelu(self.hidden(self.hidden_norm(x)))), drop_rate)


class Reduction(nn.Module):
    """Residual spatial reduction: half the side, more channels, and a path without weights from
    what was before the norm.

    Attributes:
        positions: (grid^2, out_width) learned, of patches only.
    """

    def __init__(self, shape: ReductionShape) -> None:
        super().__init__()
        self.shape = shape
        self.norm = nn.LayerNorm(shape.in_width, eps=EPS)
        self.patches = nn.Conv2d(shape.in_width, shape.out_width, 3, stride=2, padding=1)
        self.class_token = nn.Linear(shape.in_width, shape.out_width)
        self.positions = nn.Parameter(torch.zeros(shape.grid**2, shape.out_width))

    def forward(self, x_bnc: Tensor) -> Tensor:
        """(b, 4 grid^2 + 1, in_width) -> (b, grid^2 + 1, out_width)."""
        y = self.norm(x_bnc)
        patches = as_tokens(self.patches(on_grid(y[:, 1:], 2 * self.shape.grid))) + self.positions
        reduced = torch.cat([self.class_token(y[:, :1]), patches], dim=1)
        return reduced + reduced_residual(x_bnc, self.shape.out_width, self.shape.grid)


class StageNetwork(nn.Module):
    """The blocks of one stage that the network has, by their place, and the reduction before
    them.
    """

    def __init__(self, blocks: tuple[BlockShape, ...], reduction: ReductionShape | None) -> None:
        super().__init__()
        self.reduction = None if reduction is None else Reduction(reduction)
        self.blocks = nn.ModuleDict({str(shape.index): Block(shape) for shape in blocks})


class ViTResNASSubnet(nn.Module):
    """The network of one plan.

    Attributes:
        plan: Plan that it was built from.
        patch_head: Classifies every patch, for training by token-mixup; None in networks that are
            deployed.
    """

    patch_head: nn.Linear | None

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.stem = Stem(plan.stem)
        reductions = (None, *plan.reductions)
        self.stages = nn.ModuleList(
            StageNetwork(blocks, r) for blocks, r in zip(plan.stages, reductions, strict=True)
        )
        self.norm = nn.LayerNorm(plan.width, eps=EPS)
        self.classifier = nn.Linear(plan.width, plan.num_classes)
        self.patch_head = None

    def forward(self, x_bchw: Tensor, *, dropout: float = 0.0, drop_connect: float = 0.0) -> Tensor:
        """(b, in_channels, h, w) -> (b, num_classes) logits; the regularisers act as in the
        supernet, for training alone.
        """
        return self._logits(self._tokens(x_bchw, drop_connect), dropout)

    def forward_with_patches(
        self, x_bchw: Tensor, *, dropout: float = 0.0, drop_connect: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """(b, in_channels, h, w) -> (b, num_classes) logits of the image and (b, grid^2,
        num_classes) of the last stage's patches.
        """
        if self.patch_head is None:
            raise RuntimeError(
                "this network has no patch head: call add_patch_head() before training it"
            )
        x_bnc = self._tokens(x_bchw, drop_connect)
        return self._logits(x_bnc, dropout), self.patch_head(x_bnc[:, 1:])

    @property
    def patch_grid(self) -> int:
        """Patches a side of the last stage."""
        return self.plan.grids[-1]

    def add_patch_head(self) -> None:
        """A fresh one, from torch's global generator."""
        weight = self.classifier.weight
        self.patch_head = nn.Linear(
            self.plan.width, self.plan.num_classes, device=weight.device, dtype=weight.dtype
        )
        nn.init.trunc_normal_(self.patch_head.weight, std=0.02)
        nn.init.zeros_(self.patch_head.bias)

    def remove_patch_head(self) -> None:
        """Removes the head that only training needs; the rest is what is deployed."""
        self.patch_head = None

    def _logits(self, x_bnc: Tensor, dropout: float) -> Tensor:
        x = x_bnc[:, 0]
        logits: Tensor = self.classifier(F.dropout(x, dropout) if dropout else x)
        return logits

    def _tokens(self, x_bchw: Tensor, rate: float) -> Tensor:
        x: Tensor = self.stem(resized(x_bchw, self.plan.image_size))
        for number, stage in enumerate(self.stages):
            if stage.reduction is not None:
                x = stage.reduction(x)  # type: ignore[operator]  # torch types a module's attributes as tensor or module
            for block in stage.blocks.values():  # type: ignore[operator]
                x = block(x, self.plan.drop_rate(number, block.shape.index, rate))
        normed: Tensor = self.norm(x)
        return normed


def with_class_token(x_bnc: Tensor, token_c: Tensor) -> Tensor:
    """(b, n, c) -> (b, n + 1, c), the token first."""
    return torch.cat([token_c.expand(len(x_bnc), 1, -1), x_bnc], dim=1)


def attend(query_bnc: Tensor, key_bnc: Tensor, value_bnc: Tensor, heads: int) -> Tensor:
    """(b, n, heads d) each -> (b, n, heads d): scaled dot-product attention, head by head."""
    split = (*query_bnc.shape[:2], heads, query_bnc.shape[2] // heads)
    query, key, value = (x.reshape(split).transpose(1, 2) for x in (query_bnc, key_bnc, value_bnc))
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def reduced_residual(x_bnc: Tensor, out_width: int, grid: int) -> Tensor:
    """(b, 4 grid^2 + 1, c) -> (b, grid^2 + 1, out_width): the class token and 2x2 means of the
    patches, zeros in new channels.
    """
    pooled = as_tokens(F.avg_pool2d(on_grid(x_bnc[:, 1:], 2 * grid), 2))
    return F.pad(torch.cat([x_bnc[:, :1], pooled], dim=1), (0, out_width - x_bnc.shape[2]))


def initialise(network: nn.Module) -> None:
    """Draws all weights afresh from torch's global generator, of a subnet or of the supernet.

    Linear weights, the class token and positions from a normal distribution of 0.02 cut at 2,
    biases 0, scales 1; convolutions as torch draws them, U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)).
    """
    for name, parameter in network.named_parameters():
        owner = name.split(".")[-2]
        if owner.endswith("norm"):
            (nn.init.ones_ if name.endswith("weight") else nn.init.zeros_)(parameter)
        elif parameter.ndim == 4 or owner == "patches":
            weight = network.get_parameter(name.rsplit(".", 1)[0] + ".weight")
            bound = float(weight[0].numel()) ** -0.5
            nn.init.uniform_(parameter, -bound, bound)
        elif name.endswith("bias"):
            nn.init.zeros_(parameter)
        else:
            nn.init.trunc_normal_(parameter, std=0.02)
