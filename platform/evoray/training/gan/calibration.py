"""Recalibration of a generator's batch norm: its inputs are latent vectors, so no data is
needed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from evoray.seeds import seed_for
from evoray.training.recipe.calibration import recalibrate


@dataclass(frozen=True, kw_only=True)
class LatentCalibration:
    """Callable on a generator; the same latent vectors for every one.

    Attributes:
        latent: Length of a latent vector.
        num_images: Number of vectors drawn; a last batch of one alone is left out.
        batch_size: Latent vectors in one forward pass.
        seed: Seeds the latent vectors.
    """

    latent: int
    num_images: int = 1024
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if self.latent < 1 or self.num_images < 2 or self.batch_size < 2:
            raise ValueError(
                "calibration needs a latent of at least 1, 2 images and batches of 2, got "
                f"{self.latent}, {self.num_images} and {self.batch_size}"
            )

    def __call__(self, network: nn.Module, device: torch.device) -> None:
        """Changes the running statistics in place and leaves the network in eval mode."""
        generator = torch.Generator().manual_seed(seed_for(self.seed, "latent calibration"))
        drawn = torch.randn(self.num_images, self.latent, generator=generator)
        recalibrate(
            network,
            [part.to(device) for part in torch.split(drawn, self.batch_size) if len(part) > 1],
        )
