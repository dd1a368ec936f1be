"""Images of text turned, scaled, cropped and recoloured at random, their regions with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from evoray.training.recipe.text_augmentation import TextAugmentation
from objectives.parts.text.regions import TextRegion

Array = NDArray[np.float64]
Regions = tuple[TextRegion, ...]
_VISIBLE = 0.95  # of a region's area; a region of which less is seen is no longer asked for


def augmented(
    images: torch.Tensor,
    regions: Sequence[Sequence[TextRegion]],
    settings: TextAugmentation,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, tuple[Regions, ...]]:
    """A batch changed at random: one affine map for each image and its regions.

    Regions that a crop cuts become ignored, those that it leaves out are gone.

    Args:
        images: (b, 3, h, w), normalised, on any device; what lies outside becomes 0.
        regions: Regions of each image, in its pixels.
        settings: Bounds within which images change.
        rng: All draws come from it, the same number whatever the images show.

    Returns:
        Images of the same shape, and their regions.
    """
    height, width = images.shape[2:]
    maps = np.stack([_affine(some, (height, width), settings, rng) for some in regions])
    gain = 1.0 + settings.colour * rng.uniform(-1.0, 1.0, (len(images), 1, 1, 1))
    level = settings.colour * rng.uniform(-1.0, 1.0, (len(images), 3, 1, 1))
    theta = torch.from_numpy(_theta(maps, (height, width))).to(images)
    grid = F.affine_grid(theta, list(images.shape), False)
    ones = torch.ones_like(images[:, :1])
    moved = F.grid_sample(torch.cat([images, ones], dim=1), grid, align_corners=False)
    # Colour changes what was seen and not what lies outside.
    seen = moved[:, 3:]
    changed = moved[:, :3] * torch.from_numpy(gain).to(images)
    changed += torch.from_numpy(level).to(images) * seen
    placed = tuple(
        moved_regions(some, matrix, (height, width))
        for some, matrix in zip(regions, maps, strict=True)
    )
    return changed, placed


def _affine(
    regions: Sequence[TextRegion],
    size: tuple[int, int],
    settings: TextAugmentation,
    rng: np.random.Generator,
) -> Array:
    """(2, 3) map from pixels of an image to those of its changed one."""
    scale = float(np.exp(rng.uniform(*np.log(settings.scale))))
    angle = np.deg2rad(rng.uniform(-settings.degrees, settings.degrees))
    sign = -1.0 if rng.random() < settings.mirror else 1.0
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos * sign, -sin], [sin * sign, cos]])
    centre = np.array([size[1], size[0]]) / 2
    # The point of the image that comes to the middle: the crop stays inside the image, or the
    # image inside the crop.
    reach = np.abs(1.0 - 1.0 / scale) * centre
    middles = centre + rng.uniform(-1.0, 1.0, (settings.attempts, 2)) * reach
    shifts = centre - middles @ linear.T
    counted = [one.polygon @ linear.T for one in regions if len(one.polygon) and not one.ignored]
    best = shifts[_fewest_cuts(counted, shifts, size)] if counted else shifts[0]
    return np.column_stack([linear, best])


def _fewest_cuts(polygons: Sequence[Array], shifts: Array, size: tuple[int, int]) -> int:
    """The shift that leaves the fewest polygons partly outside; of equal ones one that shows a
    whole one, and of these the first.
    """
    low = np.stack([polygon.min(axis=0) for polygon in polygons]) + shifts[:, None]
    high = np.stack([polygon.max(axis=0) for polygon in polygons]) + shifts[:, None]
    limits = np.array([size[1], size[0]])
    whole = np.asarray(((low >= 0) & (high <= limits)).all(axis=-1))
    outside = ((high <= 0) | (low >= limits)).any(axis=-1)
    cuts = (~whole & ~outside).sum(axis=1)
    return int((2 * cuts + ~whole.any(axis=1)).argmin())


def _theta(maps: Array, size: tuple[int, int]) -> Array:
    """(b, 2, 3) of torch's affine grids: from places in the new image, each between -1 and 1, to
    those in the old one.
    """
    half = np.array([size[1], size[0]]) / 2
    inverse = np.linalg.inv(maps[:, :, :2])
    linear = inverse * half / half[:, None]
    origin = np.einsum("bij,bj->bi", inverse, half - maps[:, :, 2])
    return np.concatenate([linear, ((origin - half) / half)[:, :, None]], axis=2)


def moved_regions(regions: Sequence[TextRegion], affine: Array, size: tuple[int, int]) -> Regions:
    """Regions after a (2, 3) affine map, in an image of a height and a width.

    Those of which less than 95 % of the area is inside are ignored, those of which nothing is are
    left out, as are those without an area.
    """
    moved = [
        replace(one, polygon=one.polygon @ affine[:, :2].T + affine[:, 2])
        for one in regions
        if len(one.polygon) >= 3
    ]
    if not moved:
        return ()
    limits = np.array([size[1], size[0]])
    found = []
    for one in moved:
        low, high = one.polygon.min(axis=0), one.polygon.max(axis=0)
        if (high <= 0).any() or (low >= limits).any():
            continue
        cut = bool((low < 0).any() or (high > limits).any())
        share = _share_inside(one.polygon, size) if cut else 1.0
        if share > 0:
            found.append(replace(one, ignored=one.ignored or share < _VISIBLE))
    return tuple(found)


def _share_inside(polygon: Array, size: tuple[int, int]) -> float:
    shape = shapely.make_valid(shapely.polygons(polygon))
    area = float(shapely.area(shape))
    if area <= 0.0:
        return 0.0
    return float(shapely.area(shapely.intersection(shape, shapely.box(0, 0, size[1], size[0])))) / (
        area
    )
