"""The maps of the first part: text, and its shrunk kernel, plain and elastic.

Text instance segmentation (TIS) is the papers' word (arXiv:2004.12436); the two maps are our
reconstruction: of text alone half to three quarters of all instances would grow together at
stride 4, and a shrunk kernel keeps them apart (DB, Liao et al. 2020, arXiv:1911.08947).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.conv import ElasticConv2d
from searchspaces.elastic.norm import ElasticBatchNorm2d
from searchspaces.nask.plan import NUM_MAPS, head_width

# b batch, f feature channels, h height, w width

_START_STD = 0.05


class TextHead(nn.Module):
    """Stand-alone head of torch's own layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = head_width(width)
        self.hidden = nn.Conv2d(width, hidden, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(hidden)
        self.maps = nn.Conv2d(hidden, NUM_MAPS, 1)

    def forward(self, features_bfhw: Tensor) -> Tensor:
        """(b, f, h, w) -> (b, 2, h, w) logits."""
        maps: Tensor = self.maps(F.relu(self.norm(self.hidden(features_bfhw))))
        return maps


class ElasticTextHead(nn.Module):
    """All heads up to a largest one; parameters are named as in `TextHead`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = head_width(width)
        self.hidden = ElasticConv2d(width, hidden, 3)
        self.norm = ElasticBatchNorm2d(hidden)
        self.maps = ElasticConv2d(hidden, NUM_MAPS, bias=True)
        start_text_head(self)

    def forward(self, features_bfhw: Tensor) -> Tensor:
        """(b, f, h, w) -> (b, 2, h, w) logits; the width is the input's."""
        hidden = self.hidden(features_bfhw, head_width(features_bfhw.shape[1]))
        maps: Tensor = self.maps(F.relu(self.norm(hidden)), NUM_MAPS)
        return maps


def start_text_head(head: TextHead | ElasticTextHead) -> None:
    """Logits start near 0."""
    nn.init.normal_(head.maps.weight, std=_START_STD)
