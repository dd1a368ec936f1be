"""An elastic linear layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from searchspaces.elastic.initialisation import uniform_fan_in_
from searchspaces.elastic.slicing import sliced


class ElasticLinear(nn.Module):
    """A linear layer whose output width may be named by the caller and whose input width is the
    input's.

    Attributes:
        weight: (largest out, largest in), uniform within 1 / sqrt(largest in).
        bias: (largest out,) zeros, or None.
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None
        uniform_fan_in_(self.weight)

    def forward(self, x: Tensor, out_features: int | None = None) -> Tensor:
        """(..., in) -> (..., out_features), the largest width when None."""
        width = self.weight.shape[0] if out_features is None else out_features
        bias = None if self.bias is None else sliced(self.bias, (width,))
        return F.linear(x, sliced(self.weight, (width, x.shape[-1])), bias)
