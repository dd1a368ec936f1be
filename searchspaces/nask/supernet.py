"""The largest NASK network, of which every architecture runs on views."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.base import Architecture
from searchspaces.elastic.resolution import resized_to_long_side
from searchspaces.nask.layers.attention import ElasticAttention
from searchspaces.nask.layers.backbone import ElasticBackbone
from searchspaces.nask.layers.fox import ElasticFox
from searchspaces.nask.layers.geo_align import ElasticAlign
from searchspaces.nask.layers.pyramid import ElasticPyramid
from searchspaces.nask.layers.text_head import ElasticTextHead
from searchspaces.nask.outputs import FirstLook, TwoLooks, WithRegions
from searchspaces.nask.plan import AlignShape, FoxShape, Plan

# b batch, f feature channels, k RoIs, h height, w width


class ElasticFirstPart(nn.Module):
    """All first parts up to a largest one; parameters are named as in `FirstPart`."""

    def __init__(self, largest: Plan, attentions: Mapping[str, int]) -> None:
        super().__init__()
        width = largest.pyramid_width
        self.backbone = ElasticBackbone(largest)
        self.pyramid = ElasticPyramid(largest.stage_widths, width)
        self.attentions = nn.ModuleDict(
            {place: ElasticAttention(width, inner) for place, inner in attentions.items()}
        )
        self.text = ElasticTextHead(width)

    def forward(
        self, x_bchw: Tensor, plan: Plan, *, dropout: float = 0.0, drop_connect: float = 0.0
    ) -> FirstLook:
        """(b, in_channels, h, w), resized first where the longer side is not the resolution."""
        x = resized_to_long_side(x_bchw, plan.resolution)
        levels = self.backbone(x, plan, plan.drop_rates(drop_connect))
        shape = plan.attention
        attend = None if shape is None else partial(self.attentions[shape.placement], shape=shape)
        coarse = shape is not None and shape.placement == "p5"
        features = self.pyramid(levels, plan.pyramid_width, attend if coarse else None)
        if attend is not None and not coarse:
            features = attend(features)
        if dropout:
            features = F.dropout2d(features, dropout)
        return FirstLook(self.text(features), features)


class ElasticSecondPart(nn.Module):
    """All second parts up to a largest one; parameters are named as in `SecondPart`."""

    def __init__(self, align: AlignShape, fox: FoxShape, *, plain: bool, separable: bool) -> None:
        super().__init__()
        self.align = ElasticAlign(align)
        self.fox = ElasticFox(fox, plain=plain, separable=separable)

    def forward(self, features_bfhw: Tensor, rois_k7: Tensor, plan: Plan) -> Tensor:
        """(b, f, h / 4, w / 4), (k, 7) -> (k, 6, rows, columns); k may be 0."""
        geometry: Tensor = self.fox(self.align(features_bfhw, rois_k7, plan.align), plan.fox)
        return geometry


class NASKSupernet(nn.Module):
    """One set of weights for a whole space; parameters are named as in `NASKSubnet`.

    Dropout and drop-connect act when the forward's arguments are above 0, whatever the mode; the
    first part always uses batch statistics, the second has none.
    """

    def __init__(
        self,
        largest: Plan,
        plan: Callable[[Architecture], Plan],
        *,
        attentions: Mapping[str, int],
        plain: bool,
        separable: bool,
    ) -> None:
        """
        Args:
            largest: The network of every largest option.
            plan: Gives the shape of an architecture's network.
            attentions: By placement, the most channels inside the attention there.
            plain: True if some head has plain convolutions.
            separable: True if some head has depthwise-separable ones.
        """
        super().__init__()
        self.plan = plan
        self.first = ElasticFirstPart(largest, attentions)
        self.second_part = ElasticSecondPart(
            largest.align, largest.fox, plain=plain, separable=separable
        )

    def forward(
        self,
        inputs: Tensor | WithRegions,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> FirstLook | TwoLooks:
        """Images alone give a first look by the architecture's network; with regions, both."""
        plan = self.plan(architecture)
        images = inputs if isinstance(inputs, Tensor) else inputs.images
        look: FirstLook = self.first(images, plan, dropout=dropout, drop_connect=drop_connect)
        if isinstance(inputs, Tensor):
            return look
        rois = inputs.rois(look.maps.detach())
        return TwoLooks(look.maps, rois, self.second_part(look.features, rois, plan))

    def second(self, features_bfhw: Tensor, rois_k7: Tensor, architecture: Architecture) -> Tensor:
        """(b, f, h / 4, w / 4), (k, 7) -> (k, 6, rows, columns) by the architecture's network."""
        geometry: Tensor = self.second_part(features_bfhw, rois_k7, self.plan(architecture))
        return geometry
