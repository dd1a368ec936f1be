"""Sampling features on the grid of a rotated rectangle: Text RoI Pooling, and what GeoAlign starts
from.

That a rectangle becomes a map of fixed size is the papers' word (arXiv:2004.12436); how, our
reconstruction: bilinear sampling with half-pixel centres, the border continued.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from searchspaces.nask.outputs import STRIDE

# k RoIs, f feature channels, b batch, h height, w width, i rows and j columns of sample points


def sampled(
    features_bfhw: Tensor,
    rois_k7: Tensor,
    size: tuple[int, int],
    samples: int = 1,
    offsets: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """The features under a grid of cells on each RoI.

    Args:
        features_bfhw: At stride 4.
        rois_k7: See `searchspaces.nask.outputs`; k may be 0.
        size: Rows and columns of cells.
        samples: Points a side of each cell whose mean is taken.
        offsets: (k, rows, columns) each, or what expands to it: by how much cells move along the
            long and the short side, as a share of its length; None for not at all.

    Returns:
        (k, f, rows, columns).
    """
    points = sample_points(rois_k7, size, samples, offsets)
    found = looked_up(features_bfhw, rois_k7[:, 0], points)
    return found if samples == 1 else F.avg_pool2d(found, samples)


def sample_points(
    rois_k7: Tensor,
    size: tuple[int, int],
    samples: int = 1,
    offsets: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """(k, samples x rows, samples x columns, 2): x and y in pixels of the network's resolution."""
    rows, columns = (samples * cells for cells in size)
    along, across = (
        (torch.arange(cells, dtype=rois_k7.dtype, device=rois_k7.device) + 0.5) / cells - 0.5
        for cells in (columns, rows)
    )
    along_kij, across_kij = along[None, None, :], across[None, :, None]
    if offsets is not None:
        dx, dy = (_to_each_point(offset, size, samples) for offset in offsets)
        along_kij, across_kij = along_kij + dx, across_kij + dy
    _, x, y, u_x, u_y, width, height = (column[:, None, None] for column in rois_k7.unbind(1))
    u, v = along_kij * width, across_kij * height
    return torch.stack([x + u * u_x - v * u_y, y + u * u_y + v * u_x], dim=3)


def looked_up(features_bfhw: Tensor, index_k: Tensor, points_kij2: Tensor) -> Tensor:
    """(k, f, i, j): bilinear, each RoI in its own image, points outside it at its border.

    The images lie below one another as one, so that no RoI needs a copy of its image's features;
    points are held within their image by the centres of its outermost cells.
    """
    batch, channels, high, wide = features_bfhw.shape
    num_rois, rows, columns, _ = points_kij2.shape
    exact = torch.promote_types(features_bfhw.dtype, torch.float32)
    tall = features_bfhw.to(exact).transpose(0, 1).reshape(1, channels, batch * high, wide)
    points = points_kij2.to(exact) / STRIDE
    x = points[..., 0].clamp(0.5, wide - 0.5)
    y = points[..., 1].clamp(0.5, high - 0.5) + (index_k.to(exact) * high)[:, None, None]
    grid = torch.stack([2 * x / wide - 1, 2 * y / (batch * high) - 1], dim=3)
    found = F.grid_sample(
        tall,
        grid.reshape(1, num_rois * rows, columns, 2),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return found.reshape(channels, num_rois, rows, columns).transpose(0, 1).to(features_bfhw.dtype)


def _to_each_point(offset: Tensor, size: tuple[int, int], samples: int) -> Tensor:
    """(k, rows or 1, columns or 1) of cells -> of their points."""
    if samples == 1:
        return offset
    for dim, cells in enumerate(size, start=1):
        if offset.shape[dim] == cells:
            offset = offset.repeat_interleave(samples, dim=dim)
    return offset
