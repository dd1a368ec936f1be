"""What both backbones do alike: refuse a foreign architecture, and fill a stand-alone network."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from searchspaces.base import Architecture, SearchSpace
from searchspaces.elastic.initialisation import initialise
from searchspaces.elastic.slicing import copy_sliced


def checked(space: SearchSpace, architecture: Architecture) -> tuple[int, ...]:
    """The choices of an architecture of this space.

    Raises:
        ValueError: It is of another space.
    """
    if architecture.space != space.name or len(architecture.choices) != len(space.genes):
        raise ValueError(
            f"architecture {architecture.key} has {len(architecture.choices)} genes of space {architecture.space!r}, but this is "
            f"{space.name!r} with {len(space.genes)}: load the space that the architecture names"
        )
    return architecture.choices


def subnet_of(create: Callable[[], nn.Module], supernet: nn.Module | None) -> nn.Module:
    """The created network with its slice of the supernet's weights, or with fresh ones; running statistics start anew."""
    with torch.device("meta"):  # a network that takes its weights from the supernet draws nothing from torch's generator
        subnet = create()
    device = torch.device("cpu") if supernet is None else next((p.device for p in supernet.parameters()), torch.device("cpu"))
    subnet.to_empty(device=device)
    for module in subnet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    if supernet is None:
        initialise(subnet)
    else:
        copy_sliced(supernet, subnet)
    return subnet
