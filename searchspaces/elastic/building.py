"""Stand-alone networks of all spaces, filled from their supernet or drawn afresh."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from searchspaces.elastic.slicing import copy_sliced


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
