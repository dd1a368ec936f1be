"""The feature pyramid and the map at stride 4 that is fused from its levels, plain and elastic.

Lin et al. 2017, arXiv:1612.03144; fused as detectors of text do (DB, Liao et al. 2020,
arXiv:1911.08947): each level is reduced to a quarter of the width by the 3x3 convolution that would
smooth it, brought to stride 4, and all stand side by side. Neither paper of NASK says what it uses;
this is our reconstruction.

Channels of the levels alternate in the fused map, so that the first channels of a wide one are
those of a narrow one, whichever layer slices them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.norm import ElasticBatchNorm2d

# b batch, c channels, h height, w width


class Pyramid(nn.Module):
    """Stand-alone pyramid of torch's own layers."""

    def __init__(self, stage_widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(channels, width, 1) for channels in stage_widths)
        self.reduce = nn.ModuleList(
            nn.Conv2d(width, width // 4, 3, padding=1, bias=False) for _ in stage_widths
        )
        self.reduce_norms = nn.ModuleList(nn.BatchNorm2d(width // 4) for _ in stage_widths)

    def forward(
        self, levels: Sequence[Tensor], attend: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Outputs of the stages -> (b, width, h / 4, w / 4); `attend` acts on the coarsest
        level.
        """
        sides = [lateral(level) for lateral, level in zip(self.laterals, levels, strict=True)]
        return fused(
            [
                F.relu(norm(reduce(level)))
                for reduce, norm, level in zip(
                    self.reduce, self.reduce_norms, top_down(sides, attend), strict=True
                )
            ]
        )


class ElasticPyramid(nn.Module):
    """All pyramids up to a largest one; parameters are named as in `Pyramid`."""

    def __init__(self, stage_widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            ElasticConv2d(channels, width, bias=True) for channels in stage_widths
        )
        self.reduce = nn.ModuleList(ElasticConv2d(width, width // 4, 3) for _ in stage_widths)
        self.reduce_norms = nn.ModuleList(ElasticBatchNorm2d(width // 4) for _ in stage_widths)

    def forward(
        self,
        levels: Sequence[Tensor],
        width: int,
        attend: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Outputs of the stages -> (b, width, h / 4, w / 4)."""
        sides = [
            lateral(level, width) for lateral, level in zip(self.laterals, levels, strict=True)
        ]
        return fused(
            [
                F.relu(norm(reduce(level, width // 4)))
                for reduce, norm, level in zip(
                    self.reduce, self.reduce_norms, top_down(sides, attend), strict=True
                )
            ]
        )


def top_down(
    sides: Sequence[Tensor], attend: Callable[[Tensor], Tensor] | None = None
) -> list[Tensor]:
    """Adds to every level the one above, upsampled; fine to coarse, as it is given."""
    *finer, x = sides
    found = [x if attend is None else attend(x)]
    for side in reversed(finer):
        found.append(side + fitted(F.interpolate(found[-1], scale_factor=2.0), side))
    return found[::-1]


def fused(levels: Sequence[Tensor]) -> Tensor:
    """Levels (b, c, h, w), (b, c, h / 2, w / 2), ... -> (b, levels x c, h, w), channels
    alternating.
    """
    finest = levels[0]
    same = [
        finest if i == 0 else fitted(enlarged(level, 2**i), finest)
        for i, level in enumerate(levels)
    ]
    return torch.stack(same, dim=2).flatten(1, 2)


def enlarged(x_bchw: Tensor, factor: int) -> Tensor:
    """(b, c, h, w) -> (b, c, factor h, factor w), bilinear."""
    return F.interpolate(x_bchw, scale_factor=float(factor), mode="bilinear", align_corners=False)


def fitted(x_bchw: Tensor, like: Tensor) -> Tensor:
    """Crops (b, c, h, w) to the sides of `like` at the right and bottom, where odd sides were
    rounded up.
    """
    high, wide = like.shape[2:]
    return x_bchw if x_bchw.shape[2:] == (high, wide) else x_bchw[:, :, :high, :wide]
