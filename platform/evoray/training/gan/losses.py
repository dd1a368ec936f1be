"""The hinge losses of a GAN (Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018,
arXiv:1802.05957).
"""

from __future__ import annotations

import torch
from torch import Tensor


def discriminator_loss(real_b: Tensor, fake_b: Tensor) -> Tensor:
    """mean max(0, 1 - D(x)) + mean max(0, 1 + D(G(z))) of the scores; 2 where all are 0."""
    return torch.relu(1.0 - real_b.float()).mean() + torch.relu(1.0 + fake_b.float()).mean()


def generator_loss(fake_b: Tensor) -> Tensor:
    """-mean D(G(z))."""
    return -fake_b.float().mean()
