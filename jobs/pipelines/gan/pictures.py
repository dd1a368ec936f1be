"""Pictures of generators: a grid of samples, and rows that walk from one latent vector to
another.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from evoray.files.atomic import replacing
from evoray.training.gan.pairings import latents
from objectives.inception.pixels import generated_pixels

# b batch, c channels, h height, w width, z latent values

_GAP = 1  # pixels between two images, before they are enlarged
_LEAST_SIDE = 32  # pixels at which an image is shown


def samples(network: nn.Module, latent: int, count: int, seed: int) -> Tensor:
    """(count, c, h, w) uint8; the same latent vectors for every generator."""
    return _made(network, latents(count, latent, seed, "samples"))


def walks(network: nn.Module, latent: int, rows: int, steps: int, seed: int) -> Tensor:
    """(rows x steps, c, h, w) uint8: each row goes from one random latent vector to another along
    the sphere.

    Spherical, because a standard normal vector of many dimensions lies near a sphere and a straight
    line leaves it (White 2016, arXiv:1609.04468).
    """
    ends = latents(2 * rows, latent, seed, "walks")
    shares = torch.linspace(0.0, 1.0, steps)
    lines = [
        torch.stack([spherical(start, end, float(share)) for share in shares])
        for start, end in zip(ends[::2], ends[1::2], strict=True)
    ]
    return _made(network, torch.cat(lines))


def spherical(start_z: Tensor, end_z: Tensor, share: float) -> Tensor:
    """(z,) between two vectors; a straight line where they point the same way."""
    cosine = torch.dot(start_z / start_z.norm(), end_z / end_z.norm()).clamp(-1.0, 1.0)
    angle = torch.acos(cosine)
    if angle < 1e-4:
        return torch.lerp(start_z, end_z, share)
    return (
        torch.sin((1 - share) * angle) * start_z + torch.sin(share * angle) * end_z
    ) / torch.sin(angle)


def columns_of(count: int) -> int:
    """Number of columns of a grid of so many images: a little wider than high."""
    return max(1, math.ceil(math.sqrt(count)))


def grid(pixels_bchw: Tensor, columns: int) -> Image.Image:
    """One picture, row by row, enlarged by a whole number so that small images can be seen."""
    count, channels, height, width = pixels_bchw.shape
    rows = -(-count // columns)
    sheet: NDArray[np.uint8] = np.full(
        (rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, channels),
        128,
        dtype=np.uint8,
    )
    for index, image in enumerate(pixels_bchw.permute(0, 2, 3, 1).numpy()):
        top, left = (
            (index // columns) * (height + _GAP) + _GAP,
            (index % columns) * (width + _GAP) + _GAP,
        )
        sheet[top : top + height, left : left + width] = image
    picture = Image.fromarray(sheet[..., 0] if channels == 1 else sheet)
    factor = max(1, -(-_LEAST_SIDE // height))
    return picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )


def write(picture: Image.Image, file: Path) -> None:
    """Writes the picture as PNG, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as stream:
        picture.save(stream, format="PNG", optimize=True)


def _made(network: nn.Module, z_bz: Tensor) -> Tensor:
    with torch.inference_mode():
        parts = [generated_pixels(network(part)) for part in torch.split(z_bz, 100)]
    return torch.cat(parts)
