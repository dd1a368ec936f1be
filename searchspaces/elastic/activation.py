"""Non-linearities of a convolutional block: swish throughout, or the hard ones of MobileNetV3
(arXiv:1905.02244).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Activations:
    """The non-linearities of one block.

    Attributes:
        block: Non-linearity after the block's convolutions.
        squeeze: Inside squeeze-and-excitation.
        gate: Non-linearity of squeeze-and-excitation's factors.
    """

    block: Activation
    squeeze: Activation
    gate: Activation


SWISH = Activations(F.silu, F.silu, torch.sigmoid)
HARD_SWISH = Activations(F.hardswish, F.relu, F.hardsigmoid)
