"""Random crops and mirroring of a normalised batch, on its own device."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def augment(x_bchw: torch.Tensor, generator: torch.Generator, *, crop_padding: int, mirror: bool) -> torch.Tensor:
    """(b, c, h, w) -> (b, c, h, w): each image shifted by up to `crop_padding` pixels (edges repeat) and mirrored half of the time.

    `generator` lives on the CPU, so that every device draws the same.
    """
    b, _, h, w = x_bchw.shape  # b batch, c channels, h height, w width
    if crop_padding:
        padded = F.pad(x_bchw, [crop_padding] * 4, mode="replicate")
        tops, lefts = torch.randint(0, 2 * crop_padding + 1, (2, b), generator=generator).to(x_bchw.device)
        rows = tops[:, None] + torch.arange(h, device=x_bchw.device)
        columns = lefts[:, None] + torch.arange(w, device=x_bchw.device)
        images = torch.arange(b, device=x_bchw.device)[:, None, None]
        x_bchw = padded.permute(0, 2, 3, 1)[images, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2).contiguous()
    if mirror:
        flipped = (torch.rand(b, generator=generator) < 0.5).to(x_bchw.device)
        x_bchw = torch.where(flipped[:, None, None, None], x_bchw.flip(3), x_bchw)
    return x_bchw
