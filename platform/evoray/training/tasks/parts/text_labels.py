"""Labels of the first look: text, shrunk kernels and the pixels that count, from polygons.

NASK-style; the papers' own label rules are unknown, these are TextSnake's and DB's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from objectives.parts.text.centre_lines import SIDE_POINTS, framed_sides
from objectives.parts.text.rasterisation import touched
from objectives.parts.text.rectangles import Rectangles, min_area_rectangles
from objectives.parts.text.regions import TextRegion
from objectives.parts.text.shrinking import KERNEL_RATIO, shrunk

MAP_STRIDE = 4
MIN_SIDE = 8.0  # pixels; regions that are lower are neither right nor wrong


@dataclass(frozen=True, eq=False)
class MapLabels:
    """Targets of the two maps of a batch, all (b, h / stride, w / stride) float32 of 0 and 1.

    Attributes:
        text: 1 where there is text.
        kernel: 1 where there is still text after shrinking.
        mask: 1 where the loss looks, 0 at regions that are ignored.
    """

    text: torch.Tensor
    kernel: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device) -> MapLabels:
        """The same on a device."""
        return replace(
            self,
            text=self.text.to(device),
            kernel=self.kernel.to(device),
            mask=self.mask.to(device),
        )


@dataclass(frozen=True, eq=False)
class LineRegions:
    """The r regions of a batch that the second look learns.

    Attributes:
        images: (r,) index of each one's image in the batch, ascending.
        sides: (r, 2, 2, m, 2) the `framed_sides` of each, in pixels of the network's input.
        rectangles: (r, 6) of least area around the polygons.
    """

    images: NDArray[np.int64]
    sides: NDArray[np.float64]
    rectangles: Rectangles


def batch_labels(
    regions: Sequence[Sequence[TextRegion]],
    size: tuple[int, int],
    *,
    stride: int = MAP_STRIDE,
    kernel_ratio: float = KERNEL_RATIO,
    min_side: float = MIN_SIDE,
) -> tuple[MapLabels, LineRegions]:
    """Targets of the first look for a batch, and the regions that the second one learns.

    Regions may lie anywhere; of those without an area nothing remains. Ignored ones, and those
    whose rectangle is lower than `min_side`, are taken out of the mask.

    Args:
        regions: Regions of each image, in pixels of the network's input.
        size: Height and width of the input, multiples of the stride.

    Raises:
        ValueError: The size is no multiple of the stride.
    """
    if size[0] % stride or size[1] % stride or min(size) < stride:
        raise ValueError(
            f"label maps at stride {stride} need an input whose sides are its multiples, got "
            f"{size[0]} x {size[1]}; choose an image size of that kind"
        )
    grid = (size[0] // stride, size[1] // stride)
    flat = [(image, region) for image, some in enumerate(regions) for region in some]
    rings = [outline(region.polygon) for _, region in flat]
    there = [index for index, ring in enumerate(rings) if ring is not None]
    shapes = np.array([shapely.polygons(rings[index]) for index in there], dtype=object)
    rectangles = min_area_rectangles(shapes)
    images = np.array([flat[index][0] for index in there], dtype=np.int64)
    learned = np.array([not flat[index][1].ignored for index in there], dtype=np.bool_)
    learned &= rectangles[:, 5] >= min_side
    maps = np.zeros((3, len(regions), *grid), dtype=np.bool_)
    kernels, owner = shapely.get_parts(shrunk(shapes[learned], kernel_ratio), return_index=True)
    _paint(maps[0], shapes[learned], images[learned], stride)
    _paint(maps[1], kernels, images[learned][owner], stride)
    _paint(maps[2], shapes[~learned], images[~learned], stride)
    text, kernel, outside = torch.from_numpy(maps.astype(np.float32))
    sides = [
        framed_sides(shapely.get_coordinates(shape)[:-1], rectangle)
        for shape, rectangle in zip(shapes[learned].tolist(), rectangles[learned], strict=True)
    ]
    lines = np.stack(sides) if sides else np.zeros((0, 2, 2, SIDE_POINTS, 2))
    return (
        MapLabels(text, kernel, 1.0 - outside),
        LineRegions(images[learned], lines, rectangles[learned]),
    )


def outline(polygon: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(n, 2) corners of a polygon that does not cross itself; None where it has no area.

    Of one that crosses itself the largest piece remains.
    """
    points = np.asarray(polygon, dtype=np.float64).reshape(-1, 2)
    if len(points) < 3 or not np.isfinite(points).all():
        return None
    shape = shapely.polygons(points)
    if shapely.is_valid(shape):
        return points if shapely.area(shape) > 0 else None
    pieces = shapely.get_parts(shapely.make_valid(shape))
    pieces = pieces[shapely.area(pieces) > 0]
    if not len(pieces):
        return None
    largest = pieces[int(shapely.area(pieces).argmax())]
    return np.asarray(shapely.get_coordinates(shapely.get_exterior_ring(largest))[:-1])


def _paint(
    planes: NDArray[np.bool_],
    shapes: NDArray[np.object_],
    images: NDArray[np.int64],
    stride: int,
) -> None:
    """Adds shapes in pixels of the input to the planes of their images; holes are filled."""
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_exterior_ring(shapes).tolist()]
    masks = touched([ring / stride for ring in rings], (planes.shape[1], planes.shape[2]))
    for mask, image in zip(masks, images.tolist(), strict=True):
        planes[image] |= mask
