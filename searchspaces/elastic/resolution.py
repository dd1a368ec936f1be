"""Input resolution as a gene: the network resizes what it is given."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

# b batch, c channels, h height, w width


def resized(x_bchw: Tensor, side: int) -> Tensor:
    """(b, c, h, w) -> (b, c, side, side) by bicubic interpolation without antialiasing; the input
    itself when it has that size.
    """
    if tuple(x_bchw.shape[2:]) == (side, side):
        return x_bchw
    return F.interpolate(x_bchw, size=(side, side), mode="bicubic", align_corners=False)


def resized_to_long_side(x_bchw: Tensor, side: int) -> Tensor:
    """(b, c, h, w) -> the same images with a longer side of `side`, as `resized`; the shorter one
    keeps the ratio to the nearest pixel and is at least 1.
    """
    longest = max(x_bchw.shape[2], x_bchw.shape[3])
    if longest == side:
        return x_bchw
    high, wide = (max(1, round(length * side / longest)) for length in x_bchw.shape[2:])
    return F.interpolate(x_bchw, size=(high, wide), mode="bicubic", align_corners=False)
