"""The moving average of a network's weights over its training."""

from __future__ import annotations

import copy

import torch
from torch import nn


class AverageWeights:
    """After each step, average = decay x average + (1 - decay) x weights; buffers are the trained
    network's own.

    Attributes:
        network: The averaged copy, in eval mode.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(
                f"the decay of averaged weights must be at least 0 and below 1, got {decay}"
            )
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Takes the weights after one step."""
        for mean, new in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(new, 1.0 - self._decay)
        for kept, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            kept.copy_(buffer)
