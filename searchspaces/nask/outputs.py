"""Inputs and outputs of NASK's networks: a first look at whole images, a second one at regions of
interest (RoIs) of it.

A RoI is a row of seven numbers: the image's index in the batch, the centre (x, y), the unit vector
(u_x, u_y) along the long side with u_x >= 0, the length w along it, and the length h along
v = (-u_y, u_x); in pixels of the image as the convolutions see it. So a cell of a map at stride 4
is four such pixels wide whatever the input was: a network whose resolution differs from its
input's resizes it first.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

# b batch, k RoIs, f feature channels, h height, w width

STRIDE = 4  # pixels of the network's own resolution to a cell of its maps


class FirstLook(NamedTuple):
    """Results of the first part for whole images.

    Attributes:
        maps: (b, 2, h / 4, w / 4) logits of text and of its shrunk kernel.
        features: (b, f, h / 4, w / 4) feature map that the second part samples.
    """

    maps: Tensor
    features: Tensor


class TwoLooks(NamedTuple):
    """Results of both parts in training.

    Attributes:
        maps: (b, 2, h / 4, w / 4) logits of text and of its shrunk kernel.
        rois: (k, 7) RoIs that the second part looked at.
        geometry: (k, 6, H_r, W_r) results of the second part: logit of the text centre line,
            character scale as a share of the RoI's height, cos and sin of the character
            orientation, cos and sin of the text-line orientation.
    """

    maps: Tensor
    rois: Tensor
    geometry: Tensor


class WithRegions(Protocol):
    """Inputs of a training step: images, and where the second part shall look."""

    @property
    def images(self) -> Tensor:
        """(b, 3, h, w)."""
        ...

    def rois(self, maps: Tensor) -> Tensor:
        """(b, 2, h / 4, w / 4) detached -> (k, 7), k may be 0."""
        ...
