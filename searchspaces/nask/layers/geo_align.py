"""Alignment of a RoI with a map of fixed size, plain and elastic: Text RoI Pooling
(arXiv:2004.12436) and GeoAlign (arXiv:2106.12720).

GeoAlign's mechanism is not known to us; the papers say that it brings rectangles to a fixed size
and encodes them. Our reconstruction has nested options, each the one before while its last
convolution is 0, as it starts: "ga0" samples the rectangle's grid, as Text RoI Pooling does; "ga1"
moves each column of it along the rectangle's normal, so that the grid bends with the line; "ga2"
moves every cell too. 3x3 convolutions then encode the map.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.norm import ElasticGroupNorm
from searchspaces.nask.layers.roi_sampling import sampled
from searchspaces.nask.plan import GROUP_WIDTH, AlignShape, head_width

# k RoIs, f feature channels, h height, w width

_REACH = 0.1  # the share of a rectangle's side that an offset of 1 moves a point by
_BANDS = 4  # across the rectangle: where in a column the text runs tells how to move it


class Align(nn.Module):
    """Stand-alone, of torch's own layers."""

    def __init__(self, shape: AlignShape) -> None:
        super().__init__()
        self.shape = shape
        width, hidden = shape.width, head_width(shape.width)
        self.column_hidden = (
            nn.Conv2d(width, hidden, (_BANDS, 3), padding=(0, 1)) if shape.bends else None
        )
        self.column_offset = nn.Conv2d(hidden, 1, 1) if shape.bends else None
        self.cell_offset = nn.Conv2d(width, 2, 3, padding=1) if shape.shifts else None
        self.encoder = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(shape.encoder)
        )
        self.encoder_norms = nn.ModuleList(
            nn.GroupNorm(width // GROUP_WIDTH, width) for _ in range(shape.encoder)
        )

    def forward(self, features_bfhw: Tensor, rois_k7: Tensor) -> Tensor:
        """(b, f, h / 4, w / 4), (k, 7) -> (k, f, rows, columns)."""
        shape = self.shape
        x = sampled(features_bfhw, rois_k7, shape.size, shape.samples)
        if self.column_hidden is not None and self.column_offset is not None:
            columns = self.column_offset(F.relu(self.column_hidden(banded(x))))
            cells = None if self.cell_offset is None else self.cell_offset(x)
            x = sampled(features_bfhw, rois_k7, shape.size, shape.samples, offsets(columns, cells))
        for conv, norm in zip(self.encoder, self.encoder_norms, strict=True):
            x = F.relu(norm(conv(x)))
        return x


class ElasticAlign(nn.Module):
    """All operators of a space; parameters are named as in `Align`."""

    def __init__(self, largest: AlignShape) -> None:
        super().__init__()
        width, hidden = largest.width, head_width(largest.width)
        self.column_hidden = (
            ElasticConv2d(width, hidden, (_BANDS, 3), padding=(0, 1), bias=True)
            if largest.bends
            else None
        )
        self.column_offset = ElasticConv2d(hidden, 1, bias=True) if largest.bends else None
        self.cell_offset = ElasticConv2d(width, 2, 3, bias=True) if largest.shifts else None
        self.encoder = nn.ModuleList(ElasticConv2d(width, width, 3) for _ in range(largest.encoder))
        self.encoder_norms = nn.ModuleList(ElasticGroupNorm(width) for _ in range(largest.encoder))
        start_align(self)

    def forward(self, features_bfhw: Tensor, rois_k7: Tensor, shape: AlignShape) -> Tensor:
        """(b, f, h / 4, w / 4), (k, 7) -> (k, f, rows, columns)."""
        x = sampled(features_bfhw, rois_k7, shape.size, shape.samples)
        if shape.bends and self.column_hidden is not None and self.column_offset is not None:
            hidden = F.relu(self.column_hidden(banded(x), head_width(shape.width)))
            columns = self.column_offset(hidden, 1)
            cells = (
                self.cell_offset(x, 2) if shape.shifts and self.cell_offset is not None else None
            )
            x = sampled(features_bfhw, rois_k7, shape.size, shape.samples, offsets(columns, cells))
        for _, conv, norm in zip(
            range(shape.encoder), self.encoder, self.encoder_norms, strict=False
        ):
            x = F.relu(norm(conv(x, shape.width), shape.width // GROUP_WIDTH))
        return x


def start_align(align: Align | ElasticAlign) -> None:
    """Offsets start at 0, so that every operator starts as plain sampling."""
    for head in (align.column_offset, align.cell_offset):
        if head is not None and head.bias is not None:
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)


def banded(x_kfhw: Tensor) -> Tensor:
    """(k, f, rows, columns) -> (k, f, 4, columns): means of four bands, whatever the rows."""
    return F.avg_pool2d(x_kfhw, (x_kfhw.shape[2] // _BANDS, 1))


def offsets(columns_k1w: Tensor, cells_k2hw: Tensor | None) -> tuple[Tensor, Tensor]:
    """(k, 1, 1, columns) and (k, 2, rows, columns) -> shares of the sides by which cells move along
    and across.
    """
    across = _REACH * columns_k1w[:, 0]
    if cells_k2hw is None:
        return across.new_zeros(()).expand_as(across), across
    return _REACH * cells_k2hw[:, 0], across + _REACH * cells_k2hw[:, 1]
