"""Images with labels: what a step of classification or segmentation trains on."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# b batch, c channels, h height, w width, k classes, n patches of the last stage


@dataclass(frozen=True)
class ImageBatch:
    """Images and what their networks should say of them.

    Attributes:
        x_bchw: Images.
        labels: (b,) classes, (b, k) probabilities of mixed images, or (b, h, w) classes of pixels.
        patches_bnk: Probabilities for every patch, where the networks learn to classify those too.
        outside: Probabilities that teachers from outside give, shaped as the networks' outputs.
        hard_share: Weight of the hard labels beside those from outside.
    """

    x_bchw: torch.Tensor
    labels: torch.Tensor
    patches_bnk: torch.Tensor | None = None
    outside: torch.Tensor | None = None
    hard_share: float = 0.0

    @property
    def inputs(self) -> torch.Tensor:
        """Images, for the networks."""
        return self.x_bchw

    def to(self, device: torch.device) -> ImageBatch:
        """The same on a device."""
        patches, outside = (
            None if tensor is None else tensor.to(device)
            for tensor in (self.patches_bnk, self.outside)
        )
        return ImageBatch(
            self.x_bchw.to(device), self.labels.to(device), patches, outside, self.hard_share
        )
