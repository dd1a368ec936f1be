"""Batch-norm recalibration: a subnet's running statistics, recomputed on training images (Yu and
Huang 2019, arXiv:1903.05134).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import nn

from evoray.seeds import seed_for
from evoray.training.recipe.augmentation import augment
from objectives.base import DataSource


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Callable on a network: the statistics of all its batch norms become the plain average over
    `num_images` augmented images.

    Statistics are a network's own and never shared between subnets; the images are drawn once a
    process.

    Attributes:
        source: Source of the training images.
        num_images: Number of images used; all when there are fewer.
        batch_size: Images in one forward pass; a batch of one image alone is left out.
        seed: Seeds the choice of images and their augmentation.
        crop_padding: Pixels by which crops are shifted at most, the same as in training.
        mirror: Mirrors images at random, if training does.
    """

    source: DataSource
    num_images: int = 1024
    batch_size: int = 128
    seed: int = 0
    crop_padding: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        if self.num_images < 2 or self.batch_size < 2:
            raise ValueError(
                f"calibration needs at least 2 images and batches of 2, got {self.num_images} and "
                f"{self.batch_size}"
            )

    def __call__(self, network: nn.Module, device: torch.device) -> None:
        """Changes the running statistics in place and leaves the network in eval mode; weights and
        gradients stay.
        """
        recalibrate(network, _batches(self, device))


def recalibrate(network: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """The statistics of all batch norms become the plain average over these inputs; the network is
    left in eval mode.

    torch.optim.swa_utils.update_bn would put all of the network into training mode: dropout would
    act, and the vectors of spectral normalisation would move with every pass.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average instead of an exponential one
        norm.train()
    with torch.inference_mode():
        for x in batches:
            network(x)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


@lru_cache(maxsize=2)
def _batches(calibration: Calibration, device: torch.device) -> list[torch.Tensor]:
    split = calibration.source.open("train")
    generator = torch.Generator().manual_seed(seed_for(calibration.seed, "calibration"))
    chosen = torch.randperm(len(split), generator=generator)[: calibration.num_images]
    return [
        augment(
            split.images(part),
            generator,
            crop_padding=calibration.crop_padding,
            mirror=calibration.mirror,
        ).to(device)
        for part in torch.split(chosen, calibration.batch_size)
        if len(part) > 1
    ]
