"""Weights of a network brought to another resolution: tables of learned positions are
interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# n positions, a class token's first where there is one; c channels


def resized_positions(table_nc: Tensor, num_positions: int) -> Tensor:
    """(n, c) -> (num_positions, c): positions on a square grid, interpolated bicubically; the class
    token's is kept.

    Raises:
        ValueError: One of the two is no square grid, or only one of them has a class token.
    """
    (before, own), (after, wanted) = (_grid(n) for n in (len(table_nc), num_positions))
    if own != wanted:
        raise ValueError(
            f"{len(table_nc)} positions cannot become {num_positions}: only one of them is a grid "
            "with a class token"
        )
    grid_1chw = table_nc[own:].T.reshape(1, -1, before, before)
    resized_1chw = F.interpolate(
        grid_1chw, size=(after, after), mode="bicubic", align_corners=False
    )
    return torch.cat([table_nc[:own], resized_1chw.flatten(2)[0].T])


def fitted_weights(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Picks from `weights` the state dict that the network takes; positions are brought to its
    grids, heads that it lacks are left out.

    Raises:
        ValueError: They are of a network of another shape.
    """
    found = {}
    for name, own in network.state_dict().items():
        given = weights.get(name)
        if (
            given is not None
            and given.shape != own.shape
            and name.endswith("positions")
            and given.shape[1:] == own.shape[1:]
        ):
            given = resized_positions(given, len(own))
        if given is None or given.shape != own.shape:
            shape = "missing" if given is None else f"of shape {tuple(given.shape)}"
            raise ValueError(
                f"these weights are of another network: {name!r} is {shape}, and the network's is "
                f"{tuple(own.shape)}"
            )
        found[name] = given
    return found


def _grid(num_positions: int) -> tuple[int, int]:
    """Side of the grid, and the number of positions before the grid's."""
    for leading in (0, 1):
        side = math.isqrt(num_positions - leading)
        if side and side**2 == num_positions - leading:
            return side, leading
    raise ValueError(f"{num_positions} positions are no square grid, with or without a class token")
