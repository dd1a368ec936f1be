"""Channel sorting, "rewiring": units are reordered so that the first of them, which small subnets
use, are the strongest.

Liao et al. 2021 (ViT-ResNAS), arXiv:2109.00642; after Cai et al. 2020 (OFA), arXiv:1908.09791. What
a network computes does not change. The optimizer's moments are reordered along, which the released
code does not do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast, runtime_checkable

import torch
from torch import nn

Order = tuple[
    torch.Tensor, Sequence[tuple[str, int]]
]  # which entry comes where, and the dimensions of parameters that share that order


@runtime_checkable
class Sortable(Protocol):
    """A supernet some of whose units may change places."""

    def unit_orders(self) -> Sequence[Order]:
        """Lists for each group of units: (u,) indices, the strongest first, and (parameter name,
        dimension) of everything that counts them.
        """
        ...


@torch.no_grad()
def sort_channels(
    module: nn.Module, optimizer: torch.optim.Optimizer, average: nn.Module | None = None
) -> None:
    """Sorts the units of a `Sortable` module in place, its optimizer's moments and its averaged
    copy along; else does nothing.
    """
    if not isinstance(module, Sortable):
        return
    parameters = dict(module.named_parameters())
    averaged = dict(average.named_parameters()) if average is not None else {}
    for order, places in cast(Sortable, module).unit_orders():
        for name, dimension in places:
            parameter = parameters[name]
            moments = [
                m
                for m in optimizer.state.get(parameter, {}).values()
                if isinstance(m, torch.Tensor) and m.shape == parameter.shape
            ]
            for tensor in (parameter, *moments, *([averaged[name]] if averaged else [])):
                tensor.copy_(tensor.index_select(dimension, order))
