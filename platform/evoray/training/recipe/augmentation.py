"""Random crops, mirroring, RandAugment and random erasing of a normalised batch, on its own
device.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

# images that RandAugment treats alike; one by one it would take longer than a small network's step
_SHARE_OPERATIONS = 8
_OPERATIONS = 2


def augment(
    x_bchw: torch.Tensor, generator: torch.Generator, *, crop_padding: int, mirror: bool
) -> torch.Tensor:
    """(b, c, h, w) -> (b, c, h, w): each image shifted by up to `crop_padding` pixels (edges
    repeat) and mirrored half of the time.

    `generator` lives on the CPU, so that every device draws the same.
    """
    b, _, h, w = x_bchw.shape  # b batch, c channels, h height, w width
    if crop_padding:
        padded = F.pad(x_bchw, [crop_padding] * 4, mode="replicate")
        tops, lefts = torch.randint(0, 2 * crop_padding + 1, (2, b), generator=generator).to(
            x_bchw.device
        )
        rows = tops[:, None] + torch.arange(h, device=x_bchw.device)
        columns = lefts[:, None] + torch.arange(w, device=x_bchw.device)
        images = torch.arange(b, device=x_bchw.device)[:, None, None]
        x_bchw = (
            padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]]
            .permute(0, 3, 1, 2)
            .contiguous()
        )
    if mirror:
        flipped = (torch.rand(b, generator=generator) < 0.5).to(x_bchw.device)
        x_bchw = torch.where(flipped[:, None, None, None], x_bchw.flip(3), x_bchw)
    return x_bchw


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
        seed: Of all draws.
        magnitude: Of RandAugment (Cubuk et al. 2020, arXiv:1909.13719), up to 30; 0 for none.
        erasing: Probability that an image is erased in part (Zhong et al. 2020, arXiv:1708.04896).
        mean: Of each channel, on a scale of 0 to 1.
        std: Likewise.
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
