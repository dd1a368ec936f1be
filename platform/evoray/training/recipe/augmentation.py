"""Random crops, mirroring, RandAugment and random erasing of a normalised batch, on its own
device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

# images that RandAugment treats alike; one by one it would take longer than a small network's step
_SHARE_OPERATIONS = 8
_OPERATIONS = 2


@dataclass(frozen=True)
class Moves:
    """Shift and mirroring of each image of a batch; labels that belong to pixels move along.

    Attributes:
        padding: Pixels by which a crop may be shifted.
        corners: (2, b) top and left of each crop in the padded image; None for no shift.
        flipped: (b,) booleans; None for no mirroring.
    """

    padding: int
    corners: torch.Tensor | None
    flipped: torch.Tensor | None

    @classmethod
    def draw(
        cls, count: int, generator: torch.Generator, *, crop_padding: int, mirror: bool
    ) -> Moves:
        """Draws the moves of `count` images; `generator` lives on the CPU, so that every device
        draws the same.
        """
        corners = (
            torch.randint(0, 2 * crop_padding + 1, (2, count), generator=generator)
            if crop_padding
            else None
        )
        flipped = torch.rand(count, generator=generator) < 0.5 if mirror else None
        return cls(crop_padding, corners, flipped)

    def of(self, x_bchw: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) -> (b, c, h, w): images or masks, moved; what lies beyond an edge repeats
        it.
        """
        b, _, h, w = x_bchw.shape  # b batch, c channels, h height, w width
        device = x_bchw.device
        if self.corners is not None:
            tops, lefts = self.corners.to(device) - self.padding
            rows = (tops[:, None] + torch.arange(h, device=device)).clamp(0, h - 1)
            columns = (lefts[:, None] + torch.arange(w, device=device)).clamp(0, w - 1)
            images = torch.arange(b, device=device)[:, None, None]
            x_bchw = (
                x_bchw.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]
                .permute(0, 3, 1, 2)
                .contiguous()
            )
        if self.flipped is not None:
            flipped = self.flipped.to(device)
            x_bchw = torch.where(flipped[:, None, None, None], x_bchw.flip(3), x_bchw)
        return x_bchw


def augment(
    x_bchw: torch.Tensor, generator: torch.Generator, *, crop_padding: int, mirror: bool
) -> torch.Tensor:
    """(b, c, h, w) -> (b, c, h, w): each image shifted by up to `crop_padding` pixels (edges
    repeat) and mirrored half of the time.
    """
    moves = Moves.draw(len(x_bchw), generator, crop_padding=crop_padding, mirror=mirror)
    return moves.of(x_bchw)


def distort(
    x_bchw: torch.Tensor,
    seed: int,
    *,
    magnitude: int,
    erasing: float,
    mean: Sequence[float],
    std: Sequence[float],
) -> torch.Tensor:
    """(b, c, h, w) -> (b, c, h, w): two operations of RandAugment, the same for every eight images,
    then a box of noise in some.

    Args:
        x_bchw: Normalised by `mean` and `std`.
        seed: Seeds all draws.
        magnitude: Magnitude of RandAugment (Cubuk et al. 2020, arXiv:1909.13719), up to 30; 0 for
            none.
        erasing: Probability that an image is erased in part (Zhong et al. 2020, arXiv:1708.04896).
        mean: Mean of each channel, on a scale of 0 to 1.
        std: Standard deviation of each channel, on the same scale.
    """
    from torchvision.transforms import v2  # slow to import, and needed here only

    with torch.random.fork_rng(devices=[x_bchw.device] if x_bchw.device.type == "cuda" else []):
        torch.manual_seed(seed)
        if magnitude:
            scale, shift = (
                torch.tensor(values, device=x_bchw.device).view(1, -1, 1, 1)
                for values in (std, mean)
            )
            operations = v2.RandAugment(num_ops=_OPERATIONS, magnitude=magnitude)
            seen_bchw = (x_bchw * scale + shift).clamp(0.0, 1.0)
            x_bchw = (
                torch.cat([operations(part) for part in torch.split(seen_bchw, _SHARE_OPERATIONS)])
                - shift
            ) / scale
        if erasing:
            erase = v2.RandomErasing(p=erasing, value="random")
            x_bchw = torch.stack([erase(x_chw) for x_chw in x_bchw])
    return x_bchw
