"""The largest ViT-ResNAS network: one network on views of it, or several in one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.base import Architecture
from searchspaces.elastic.linear import ElasticLinear
from searchspaces.elastic.norm import ElasticTokenNorm
from searchspaces.elastic.resolution import resized
from searchspaces.vit_resnas.blocks import BlockMasks, ElasticStage, ElasticStem, masked_layer_norm
from searchspaces.vit_resnas.plan import BlockShape, Plan
from searchspaces.vit_resnas.subnet import EPS, initialise

# a networks, b batch, c channels, h height, w width, n tokens: the class token first, then the
# patches


class ViTResNASSupernet(nn.Module):
    """One set of weights for a whole space; parameters are named as in `ViTResNASSubnet`.

    Dropout and drop-connect act when the forward's arguments are above 0, whatever the mode; batch
    statistics are always used.
    """

    def __init__(self, largest: Plan, plan: Callable[[Architecture], Plan]) -> None:
        """`plan` says what an architecture decides."""
        super().__init__()
        self.plan = plan
        self.largest = largest
        self.stem = ElasticStem(largest.stem)
        reductions = (None, *largest.reductions)
        self.stages = nn.ModuleList(
            ElasticStage(blocks, r) for blocks, r in zip(largest.stages, reductions, strict=True)
        )
        self.norm = ElasticTokenNorm(largest.width, joint=False, eps=EPS)
        self.classifier = ElasticLinear(largest.width, largest.num_classes)
        self.patch_head = ElasticLinear(largest.width, largest.num_classes)
        initialise(self)

    @property
    def patch_grid(self) -> int:
        """Patches a side of the last stage."""
        return self.largest.grids[-1]

    def forward(
        self,
        x_bchw: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Tensor:
        """(b, in_channels, h, w) -> (b, num_classes) logits of the architecture's network."""
        return self.forward_with_patches(
            x_bchw, architecture, dropout=dropout, drop_connect=drop_connect
        )[0]

    def forward_with_patches(
        self,
        x_bchw: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """The same and (b, grid^2, num_classes) logits of the last stage's patches."""
        plan = self.plan(architecture)
        x_bnc = self._trunk(
            self.stem(resized(x_bchw, plan.image_size), plan.stem.width), plan, drop_connect
        )
        return self._logits(x_bnc, dropout)

    def forward_together(
        self,
        x_bchw: Tensor,
        architectures: Sequence[Architecture],
        *,
        masked: bool = False,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Several networks in one forward: image i by network i modulo their number.

        Args:
            x_bchw: At least as many images as there are networks.
            architectures: The networks.
            masked: Run the largest network once with masks, as the authors do; else each network on
                slices for its own images, which computes the same, and the same gradients, with
                less work.
            dropout: Dropout of the class token before the classifier.
            drop_connect: Drop rate of the last block's branches.

        Returns:
            (b, num_classes) logits of the images and (b, grid^2, num_classes) of the last stage's
            patches.
        """
        plans = [self.plan(architecture) for architecture in architectures]
        if not 0 < len(plans) <= len(x_bchw):
            raise ValueError(
                f"every network needs an image, got {len(x_bchw)} images for {len(plans)} networks"
            )
        x_bnc = self.stem(
            resized(x_bchw, self.largest.image_size), self.largest.stem.width
        )  # statistics of the whole batch
        if masked:
            return self._logits(self._masked_trunk(x_bnc, plans, drop_connect), dropout)
        parts = []
        for number, plan in enumerate(plans):
            tokens = x_bnc[number :: len(plans), :, : plan.stem.width]
            parts.append(self._logits(self._trunk(tokens, plan, drop_connect), dropout))
        order = torch.cat(
            [torch.arange(number, len(x_bnc), len(plans)) for number in range(len(plans))]
        )
        back = order.argsort().to(x_bnc.device)
        return torch.cat([logits for logits, _ in parts])[back], torch.cat(
            [patches for _, patches in parts]
        )[back]

    def unit_orders(self) -> list[tuple[Tensor, list[tuple[str, int]]]]:
        """Orders the heads and the hidden units of every block, the strongest first, with the
        parameters' dimensions that count them. A unit is as strong as the sum of the absolute
        values of all weights that lead into it and out of it (section 4.3).
        """
        return [
            order
            for number, stage in enumerate(self._stages())
            for index, block in stage.places()
            for order in block.unit_orders(f"stages.{number}.blocks.{index}.")
        ]

    def _logits(self, x_bnc: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
        image = F.dropout(x_bnc[:, 0], dropout) if dropout else x_bnc[:, 0]
        return self.classifier(image), self.patch_head(x_bnc[:, 1:])

    def _trunk(self, x_bnc: Tensor, plan: Plan, rate: float) -> Tensor:
        for number, (stage, shapes) in enumerate(zip(self._stages(), plan.stages, strict=True)):
            if stage.reduction is not None:
                x_bnc = stage.reduction(x_bnc, plan.reductions[number - 1])
            for shape in shapes:
                x_bnc = stage.blocks[str(shape.index)](
                    x_bnc, shape, plan.drop_rate(number, shape.index, rate)
                )
        normed: Tensor = self.norm(x_bnc)
        return normed

    def _masked_trunk(self, x_bnc: Tensor, plans: Sequence[Plan], rate: float) -> Tensor:
        owner_b = torch.arange(len(x_bnc), device=x_bnc.device) % len(plans)

        def mask(kept: Sequence[int], size: int) -> Tensor:
            kept_a = torch.tensor(kept, device=x_bnc.device)
            return (torch.arange(size, device=x_bnc.device) < kept_a[:, None]).to(x_bnc.dtype)[
                owner_b, None
            ]

        width = mask([plan.stem.width for plan in plans], x_bnc.shape[2])
        x_bnc = x_bnc * width
        for number, stage in enumerate(self._stages()):
            if stage.reduction is not None:
                before, width = (
                    width,
                    mask(
                        [plan.reductions[number - 1].out_width for plan in plans],
                        stage.reduction.largest.out_width,
                    ),
                )
                x_bnc = stage.reduction.masked(x_bnc, before, width)
            for index, block in stage.places():
                shapes = [_block_of(plan, number, index) for plan in plans]
                masks = BlockMasks(
                    width,
                    mask([shape.inner if shape else 0 for shape in shapes], block.largest.inner),
                    mask([shape.hidden if shape else 0 for shape in shapes], block.largest.hidden),
                    mask([int(shape is not None) for shape in shapes], 1),
                )
                x_bnc = block.masked(x_bnc, masks, self.largest.drop_rate(number, index, rate))
        return masked_layer_norm(x_bnc, width, self.norm.weight, self.norm.bias, self.norm.eps)

    def _stages(self) -> Sequence[ElasticStage]:
        return [stage for stage in self.stages if isinstance(stage, ElasticStage)]


def _block_of(plan: Plan, stage: int, index: int) -> BlockShape | None:
    return next((shape for shape in plan.stages[stage] if shape.index == index), None)
