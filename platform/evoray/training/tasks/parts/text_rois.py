"""RoIs that the second look is trained on, and their labels: centre-line band, scale, directions.

NASK-style: our reconstruction, checked on real polygons by turning labels back into outlines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from evoray.training.tasks.parts.text_labels import LineRegions
from objectives.parts.text.centre_lines import (
    CentreLines,
    best_in_frame,
    centre_lines,
    without_ends,
)
from objectives.parts.text.rasterisation import filled
from objectives.parts.text.rectangles import (
    Rectangles,
    canonical,
    padded,
    rectangle_ious,
    to_frame,
)

Array = NDArray[np.float64]
BAND = 0.3  # of a stroke, the width of the centre line's band, as in TextSnake's implementations
MIN_HALF_WIDTH = 0.75  # cells, so that no band breaks
PADDING = 0.1  # of a rectangle's sides on each of its sides, before it is jittered
MATCHED_IOU = 0.5  # of a proposal with a region's rectangle, at least
_SHIFT, _SIZES, _ANGLE = 0.1, (0.9, 1.2), 5.0  # jitter: shares of the sides; factors; degrees
_APART = 1e6  # pixels between images, so that no rectangle meets one of another image
_BLOCK = 400_000  # distances from cells to points that are held at once


@dataclass(frozen=True, eq=False)
class RoiLabels:
    """Targets of the geometry maps of k RoIs, all float32.

    Attributes:
        band: (k, H, W) 1 in the centre line's band, 0 elsewhere.
        scale: (k, H, W) stroke length / H; 0 outside the band, as all the others.
        character: (k, 2, H, W) cos and sin of the stroke's direction.
        line: (k, 2, H, W) cos and sin of the line's direction.
    """

    band: torch.Tensor
    scale: torch.Tensor
    character: torch.Tensor
    line: torch.Tensor

    def to(self, device: torch.device) -> RoiLabels:
        """The same on a device."""
        return replace(
            self,
            band=self.band.to(device),
            scale=self.scale.to(device),
            character=self.character.to(device),
            line=self.line.to(device),
        )

    def as_geometry(self) -> torch.Tensor:
        """(k, 6, H, W) what a network that is always right returns: band as logits of +-20."""
        logits = 40.0 * self.band - 20.0
        return torch.cat([logits[:, None], self.scale[:, None], self.character, self.line], dim=1)


def roi_labels(
    lines: LineRegions, rois: torch.Tensor, size: tuple[int, int], *, band: float = BAND
) -> RoiLabels:
    """Labels of (k, 7) RoIs on a grid of `size` rows and columns, from the regions they look at.

    A RoI is labelled with the region that its rectangle overlaps most, and with no other one that
    may be in it; with nothing where there is none.
    """
    rows = rois.detach().cpu().numpy().astype(np.float64)
    owners, _ = best_regions(lines, rows)
    maps = np.zeros((len(rows), 6, *size), dtype=np.float32)
    found = np.flatnonzero(owners >= 0)
    maps[found] = band_maps(lines.sides[owners[found]], rows[found, 1:], size, band=band)
    labels = torch.from_numpy(maps).to(rois.device)
    return RoiLabels(labels[:, 0], labels[:, 1], labels[:, 2:4], labels[:, 4:6])


def band_maps(
    sides: Array, rectangles: Rectangles, size: tuple[int, int], *, band: float = BAND
) -> NDArray[np.float32]:
    """(k, 6, H, W): band, s / H, cos phi, sin phi, cos theta, sin theta; 0 outside the band.

    Directions are those of the frame's cells: the frame stretches, so they are taken after the
    sides have been mapped into it, and a direction of the image would be wrong there.

    Args:
        sides: (k, 2, 2, m, 2) the `framed_sides` of the region that each RoI is labelled with.
        rectangles: (k, 6) of the RoIs.
        size: Rows and columns of the grid.
        band: Width of the band as a share of the stroke.
    """
    framed = best_in_frame(to_frame(sides, rectangles, size))
    lines = centre_lines(without_ends(framed))
    half = np.maximum(band / 2 * lines.scales, MIN_HALF_WIDTH)[..., None] * lines.strokes
    rings = np.concatenate([lines.centres + half, (lines.centres - half)[:, ::-1]], axis=1)
    mask = filled(list(rings), size)
    roi, row, column = np.nonzero(mask)
    maps = np.zeros((len(sides), 6, *size), dtype=np.float32)
    maps[:, 0] = mask
    attributes = np.concatenate(
        [lines.scales[..., None] / size[0], lines.strokes, lines.tangents], axis=-1
    )
    step = max(1, _BLOCK // lines.scales.shape[1])
    for first in range(0, len(roi), step):
        at = slice(first, first + step)
        nearest = _nearest(lines, roi[at], np.stack([column[at], row[at]], axis=1) + 0.5)
        maps[roi[at], 1:, row[at], column[at]] = attributes[roi[at], nearest]
    return maps


def _nearest(
    lines: CentreLines, roi: NDArray[np.int64], cells: NDArray[np.floating]
) -> NDArray[np.int64]:
    """(p,) index of the centre point that each cell is nearest to."""
    x = lines.centres[roi, :, 0] - cells[:, :1]
    y = lines.centres[roi, :, 1] - cells[:, 1:]
    return np.asarray((x * x + y * y).argmin(axis=1))


def best_regions(lines: LineRegions, rows: Array) -> tuple[NDArray[np.int64], Array]:
    """(k,) index of the region whose padded rectangle each RoI row overlaps most, -1 for none,
    and (k,) those IoUs.
    """
    if not len(rows) or not len(lines.images):
        return np.full(len(rows), -1), np.zeros(len(rows))
    own, theirs = rows[:, 1:].copy(), padded(lines.rectangles, PADDING)
    own[:, 0] += _APART * rows[:, 0]
    theirs[:, 0] += _APART * lines.images
    ious = rectangle_ious(own, theirs)
    best = ious.argmax(axis=1)
    overlaps = ious[np.arange(len(rows)), best]
    return np.where(overlaps > 0, best, -1), overlaps


def jittered(lines: LineRegions, rng: np.random.Generator) -> Array:
    """(r, 7) rows: each region's padded rectangle, moved, resized and turned a little."""
    count = len(lines.images)
    x, y, u_x, u_y, w, h = padded(lines.rectangles, PADDING).T
    along, across = (rng.uniform(-_SHIFT, _SHIFT, count) * side for side in (w, h))
    w, h = (rng.uniform(*_SIZES, count) * side for side in (w, h))
    angle = np.deg2rad(rng.uniform(-_ANGLE, _ANGLE, count))
    cos, sin = np.cos(angle), np.sin(angle)
    moved = np.stack(
        [
            x + along * u_x - across * u_y,
            y + along * u_y + across * u_x,
            cos * u_x - sin * u_y,
            sin * u_x + cos * u_y,
            w,
            h,
        ],
        axis=1,
    )
    return np.column_stack([lines.images.astype(np.float64), canonical(moved)])


def training_rois(
    lines: LineRegions,
    proposals: NDArray[np.floating],
    rng: np.random.Generator,
    *,
    limit: int | None = None,
) -> NDArray[np.float32]:
    """(k, 7) rows: every region's rectangle, jittered, and at most as many of the proposals.

    Args:
        lines: The batch's regions.
        proposals: (p, 7) rows of the first look; (0, 7) before it has learned. Those taken overlap
            a region's rectangle by half; which ones, where there are more, is drawn.
        rng: Source of the jitter and of what is drawn.
        limit: So many rows at most, drawn among all; none for no limit.
    """
    rows = np.asarray(proposals, dtype=np.float64).reshape(-1, 7)
    _, overlaps = best_regions(lines, rows)
    matched = _drawn(rows[overlaps >= MATCHED_IOU], len(lines.images), rng)
    found = np.concatenate([jittered(lines, rng), matched])
    return _drawn(found, len(found) if limit is None else limit, rng).astype(np.float32)


def _drawn(rows: Array, count: int, rng: np.random.Generator) -> Array:
    """At most `count` of the rows, in their order."""
    if len(rows) <= count:
        return rows
    return np.asarray(rows[np.sort(rng.choice(len(rows), count, replace=False))])
