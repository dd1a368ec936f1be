"""One NASK network that stands alone, of torch's own layers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.base import Graph
from searchspaces.elastic.initialisation import initialise
from searchspaces.elastic.resolution import resized_to_long_side
from searchspaces.nask.layers.attention import (
    Attention,
    ElasticAttention,
    copy_projection,
    start_attention,
)
from searchspaces.nask.layers.backbone import Backbone
from searchspaces.nask.layers.fox import Fox, start_fox
from searchspaces.nask.layers.geo_align import Align, start_align
from searchspaces.nask.layers.pyramid import Pyramid
from searchspaces.nask.layers.text_head import TextHead, start_text_head
from searchspaces.nask.outputs import STRIDE, FirstLook, TwoLooks, WithRegions
from searchspaces.nask.plan import Plan

# b batch, f feature channels, k RoIs, h height, w width


class FirstPart(nn.Module):
    """Images to maps and features: a graph of its own when the network is exported.

    Attributes:
        plan: Shape of the network that it belongs to.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.backbone = Backbone(plan)
        self.pyramid = Pyramid(plan.stage_widths, plan.pyramid_width)
        shape = plan.attention
        self.attentions = nn.ModuleDict(
            {} if shape is None else {shape.placement: Attention(shape)}
        )
        self.text = TextHead(plan.pyramid_width)

    def forward(
        self, x_bchw: Tensor, *, dropout: float = 0.0, drop_connect: float = 0.0
    ) -> FirstLook:
        """(b, in_channels, h, w), resized first where the longer side is not the resolution."""
        x = resized_to_long_side(x_bchw, self.plan.resolution)
        levels = self.backbone(x, self.plan.drop_rates(drop_connect))
        shape = self.plan.attention
        attend = None if shape is None else self.attentions[shape.placement]
        coarse = shape is not None and shape.placement == "p5"
        features = self.pyramid(levels, attend if coarse else None)
        if attend is not None and not coarse:
            features = attend(features)
        if dropout:
            features = F.dropout2d(features, dropout)
        return FirstLook(self.text(features), features)


class SecondPart(nn.Module):
    """Features and RoIs to geometry: a graph of its own when the network is exported."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.align = Align(plan.align)
        self.fox = Fox(plan.fox)

    def forward(self, features_bfhw: Tensor, rois_k7: Tensor) -> Tensor:
        """(b, f, h / 4, w / 4), (k, 7) -> (k, 6, rows, columns); k may be 0."""
        geometry: Tensor = self.fox(self.align(features_bfhw, rois_k7))
        return geometry


class NASKSubnet(nn.Module):
    """The network of one plan, with running statistics of its own.

    Attributes:
        plan: Shape of the network.
        first: Its first part.
        second_part: Its second part.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.first = FirstPart(plan)
        self.second_part = SecondPart(plan)

    def forward(
        self, inputs: Tensor | WithRegions, *, dropout: float = 0.0, drop_connect: float = 0.0
    ) -> FirstLook | TwoLooks:
        """Images alone give a first look; with regions, both; the regularisers act as in the
        supernet, for training alone.
        """
        images = inputs if isinstance(inputs, Tensor) else inputs.images
        look: FirstLook = self.first(images, dropout=dropout, drop_connect=drop_connect)
        if isinstance(inputs, Tensor):
            return look
        rois = inputs.rois(look.maps.detach())
        return TwoLooks(look.maps, rois, self.second(look.features, rois))

    def second(self, features_bfhw: Tensor, rois_k7: Tensor) -> Tensor:
        """(b, f, h / 4, w / 4), (k, 7) -> (k, 6, rows, columns), see `TwoLooks.geometry`."""
        geometry: Tensor = self.second_part(features_bfhw, rois_k7)
        return geometry

    def graphs(self, input_shape: tuple[int, ...]) -> Mapping[str, Graph]:
        """The two parts for images of (channels, height, width): "first" and "second"."""
        _, height, width = input_shape
        scale = self.plan.resolution / max(height, width) if self.plan.resolution else 1.0
        rows, columns = (-(-round(side * scale) // STRIDE) for side in (height, width))

        def images(size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            return (torch.randn(size, *input_shape, generator=generator),)

        def features(size: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            width_f = self.plan.pyramid_width
            drawn = torch.randn(size, width_f, rows, columns, generator=generator)
            return drawn, _random_rois(size, (STRIDE * rows, STRIDE * columns), generator)

        return {
            "first": Graph(_Plain(self.first), images, ("images",), ("maps", "features")),
            "second": Graph(self.second_part, features, ("features", "rois"), ("geometry",)),
        }


class _Plain(nn.Module):
    """A part whose outputs are a plain tuple, which every format knows."""

    def __init__(self, part: FirstPart) -> None:
        super().__init__()
        self.part = part

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps, features = self.part(images)
        return maps, features


def _random_rois(size: int, area: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Two RoIs in each of `size` images and one more, of random directions, in the area."""
    count = 2 * size + 1
    height, width = area
    share = torch.rand(count, 4, generator=generator)
    angle = math.pi * (torch.rand(count, generator=generator) - 0.5)
    columns = (
        torch.arange(count) % size,
        share[:, 0] * width,
        share[:, 1] * height,
        angle.cos(),
        angle.sin(),
        width * (0.1 + 0.4 * share[:, 2]),
        height * (0.05 + 0.2 * share[:, 3]),
    )
    return torch.stack([column.to(torch.float32) for column in columns], dim=1)


def initialise_subnet(subnet: nn.Module) -> None:
    """Draws all weights afresh from torch's global generator, by the supernet's rules at the
    subnet's own widths.
    """
    initialise(subnet)
    for module in subnet.modules():
        if isinstance(module, Attention):
            start_attention(module)
        elif isinstance(module, Align):
            start_align(module)
        elif isinstance(module, Fox):
            start_fox(module)
        elif isinstance(module, TextHead):
            start_text_head(module)


def copy_projections(supernet: nn.Module, subnet: nn.Module) -> None:
    """Fills the grouped weights of attention, which are no plain slices of the supernet's."""
    wholes = dict(supernet.named_modules())
    for name, module in subnet.named_modules():
        whole = wholes.get(name)
        if isinstance(module, Attention) and isinstance(whole, ElasticAttention):
            copy_projection(whole, module)
