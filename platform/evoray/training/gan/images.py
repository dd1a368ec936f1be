"""Real images on a generator's scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# b batch, c channels, h height, w width


def signed(x_bchw: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """A source's normalised images, brought to [-1, 1]; `mean` and `std` are the source's."""
    scale, shift = (torch.tensor(v, dtype=torch.float32, device=x_bchw.device).view(1, -1, 1, 1) for v in (std, mean))
    return ((x_bchw * scale + shift) * 2.0 - 1.0).clamp(-1.0, 1.0)
