"""What all spaces of one supernet do alike: refuse a foreign architecture, write its options out,
and fill a stand-alone network.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from searchspaces.base import Architecture, SearchSpace
from searchspaces.elastic.slicing import copy_sliced


def checked(space: SearchSpace, architecture: Architecture) -> tuple[int, ...]:
    """The choices of an architecture of this space.

    Raises:
        ValueError: It is of another space.
    """
    if architecture.space != space.name or len(architecture.choices) != len(space.genes):
        raise ValueError(
            f"architecture {architecture.key} has {len(architecture.choices)} genes of space "
            f"{architecture.space!r}, but this is "
            f"{space.name!r} with {len(space.genes)}: load the space that the architecture names"
        )
    return architecture.choices


def decided(
    space: SearchSpace, decisions: Mapping[str, tuple[int, ...]], architecture: Architecture
) -> dict[str, int]:
    """The option of every decision by name: the architecture's where it is a gene, or else the only
    one.

    Raises:
        ValueError: The architecture is of another space.
    """
    chosen = {name: options[0] for name, options in decisions.items()}
    for gene, choice in zip(space.genes, checked(space, architecture), strict=True):
        chosen[gene.name] = decisions[gene.name][choice]
    return chosen


def subnet_of(
    create: Callable[[], nn.Module],
    supernet: nn.Module | None,
    initialise: Callable[[nn.Module], None],
) -> nn.Module:
    """The created network with its slice of the supernet's weights, or with those that `initialise`
    draws.

    Running statistics are unknown until the network is recalibrated: means 0, variances 1, no
    batches seen.
    """
    with torch.device(
        "meta"
    ):  # a network that takes its weights from the supernet draws nothing from torch's generator
        subnet = create()
    device = (
        torch.device("cpu")
        if supernet is None
        else next((p.device for p in supernet.parameters()), torch.device("cpu"))
    )
    subnet.to_empty(device=device)
    for module in subnet.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
    if supernet is None:
        initialise(subnet)
    else:
        copy_sliced(supernet, subnet)
    return subnet
