"""Losses of a NASK-style detector: maps of the first look, geometry of the second.

The papers' own losses and weights are unknown; these are TextSnake's for the geometry, and its hard
negatives with DB's and PSENet's Dice for the maps.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from evoray.training.tasks.parts.text_labels import MapLabels
from evoray.training.tasks.parts.text_rois import RoiLabels

LOSS_PARTS = ("text", "kernel", "centre_line", "scale", "character_angle", "line_angle")
_NEGATIVES = 3  # hard ones for each positive pixel
_FALLBACK = 100  # hard ones where there is no positive pixel
_SMOOTHING = 1.0  # pixels that Dice adds to both areas, so that no text is a target like another


def map_losses(maps: torch.Tensor, labels: MapLabels) -> dict[str, torch.Tensor]:
    """Parts "text" and "kernel": cross-entropy with hard negatives, plus Dice.

    Args:
        maps: (b, 2, h, w) logits of text and kernel.
        labels: Targets of the same size; where their mask is 0 everywhere, both parts are 0.
    """
    return {
        name: balanced_cross_entropy(logits, target, labels.mask)
        + dice_loss(logits, target, labels.mask)
        for name, logits, target in (
            ("text", maps[:, 0], labels.text),
            ("kernel", maps[:, 1], labels.kernel),
        )
    }


def geometry_losses(geometry: torch.Tensor, labels: RoiLabels) -> dict[str, torch.Tensor]:
    """Parts of the second look; each is 0, with a gradient of 0, where there are no RoIs.

    "centre_line" is cross-entropy over all cells; "scale" the relative error of the stroke,
    "character_angle" and "line_angle" those of cosine and sine, smooth L1 over the cells of bands.

    Args:
        geometry: (k, 6, H, W) centre-line logit, s / H, cos and sin of phi, cos and sin of theta.
        labels: Targets of the same RoIs.
    """
    geometry = geometry.float()
    nothing = geometry.sum() * 0.0
    if not len(geometry):
        return dict.fromkeys(LOSS_PARTS[2:], nothing)
    band = labels.band
    scale = torch.where(band > 0, labels.scale, 1.0).clamp_min(1e-3)
    wrong = {
        "scale": _smooth(geometry[:, 1] / scale - 1.0),
        "character_angle": _smooth(geometry[:, 2:4] - labels.character).sum(dim=1),
        "line_angle": _smooth(geometry[:, 4:6] - labels.line).sum(dim=1),
    }
    cells = band.sum().clamp_min(1.0)
    centre_line = F.binary_cross_entropy_with_logits(geometry[:, 0], band)
    return {"centre_line": centre_line} | {
        name: torch.where(band > 0, error, 0.0).sum() / cells for name, error in wrong.items()
    }


def _smooth(errors: torch.Tensor) -> torch.Tensor:
    return F.smooth_l1_loss(errors, torch.zeros_like(errors), reduction="none")


def balanced_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Mean over the positive pixels and the hardest negatives, three for each of them, or a hundred
    where a batch has none (TextSnake); pixels outside the mask do not exist.
    """
    logits = logits.float()
    errors = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    positive, negative = target * mask, (1.0 - target) * mask
    num_positive = positive.sum()
    wanted = torch.where(num_positive > 0, _NEGATIVES * num_positive, _FALLBACK)
    num_negative = torch.minimum(wanted, negative.sum())
    hardest = (errors * negative).flatten().sort(descending=True).values
    chosen = torch.arange(len(hardest), device=hardest.device) < num_negative
    total = (errors * positive).sum() + (hardest * chosen).sum()
    return total / (num_positive + num_negative).clamp_min(1.0)


def dice_loss(logits: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """1 - 2 |p t| / (|p| + |t|) over the batch's pixels inside the mask, both smoothed by a pixel
    (Milletari et al. 2016, arXiv:1606.04797, with plain sums).
    """
    share = torch.sigmoid(logits.float()) * mask
    shared = (share * target).sum()
    areas = share.sum() + (target * mask).sum()
    return 1.0 - (2.0 * shared + _SMOOTHING) / (areas + _SMOOTHING)
