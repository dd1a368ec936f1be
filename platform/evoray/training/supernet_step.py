"""What a step trains: a pass for each subnet that the sampler drew, with who teaches and who
learns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.process_group import Group
from evoray.training.recipe.distillation import hard_loss
from evoray.training.samplers import SubnetSampler
from evoray.training.step import ForwardPass, Outputs
from searchspaces.base import Architecture


def supernet_forward_passes(
    supernet: nn.Module,
    sampler: SubnetSampler,
    config: TrainConfig,
    largest: Architecture,
    least: Architecture,
    step: int,
) -> list[ForwardPass]:
    """The largest subnet is regularised and, when it comes first and distillation is on, teaches
    the rest.

    Of a sampler that is `last_learns`, all subnets of a step teach the last, which is the smallest
    of its kind. A sampler whose subnets go `together` gets one pass, in which they share the images
    and are regularised alike. Where images are mixed patch by patch, the patches are classified
    too.
    """
    drawn, patches = sampler.sample(step), config.mixing == "tokens"
    if getattr(sampler, "together", False):
        rates = {"dropout": config.dropout, "drop_connect": config.drop_connect}
        return [
            ForwardPass(
                "together", partial(forward_together, supernet, drawn, rates, patches=patches)
            )
        ]
    teaching = config.distillation and drawn[0].key == largest.key
    last = len(drawn) - 1 if config.distillation and getattr(sampler, "last_learns", False) else 0
    forward_passes = []
    for index, architecture in enumerate(drawn):
        is_largest = architecture.key == largest.key
        name = (
            "largest"
            if is_largest
            else "smallest"
            if architecture.key == least.key or 0 < last == index
            else "random"
        )
        drops = (
            {"dropout": config.dropout, "drop_connect": config.drop_connect} if is_largest else {}
        )
        forward = partial(_subnet_forward, supernet, architecture, drops, patches=patches)
        teaches = (teaching and index == 0) or index < last
        learns = (teaching and index > 0) or 0 < last == index
        forward_passes.append(
            ForwardPass(name, forward, teaches=teaches, learns=learns, architecture=architecture)
        )
    return forward_passes


def _subnet_forward(
    supernet: nn.Module,
    architecture: Architecture,
    drops: dict[str, float],
    x_bchw: torch.Tensor,
    *,
    patches: bool = False,
) -> Outputs:
    forward: Any = supernet.forward_with_patches if patches else supernet
    outputs: Outputs = forward(x_bchw, architecture, **drops)
    return outputs


@torch.no_grad()
def subnet_losses(
    supernet: nn.Module,
    group: Group,
    x_bchw: torch.Tensor,
    labels: torch.Tensor,
    architectures: Sequence[Architecture],
) -> list[float]:
    """Cross-entropy of each subnet on a batch, averaged over the ranks; nothing is trained."""
    losses = []
    for architecture in architectures:
        with torch.autocast(
            x_bchw.device.type, dtype=torch.bfloat16, enabled=x_bchw.device.type == "cuda"
        ):
            logits_bk = supernet(x_bchw, architecture)
        losses.append(hard_loss(logits_bk, labels, 0.0))
    found = torch.stack(losses)
    group.add_up(found)
    return [float(loss) for loss in (found / group.world_size).tolist()]


def forward_together(
    supernet: nn.Module,
    drawn: Sequence[Architecture],
    drops: dict[str, float],
    x_bchw: torch.Tensor,
    *,
    patches: bool = False,
) -> Outputs:
    """(b, k) logits, image i by subnet i modulo their number; by the supernet's own way where it
    has one, which may share work.

    With `patches` the supernet has a way of its own, and gives (b, n, k) logits of the patches as
    well.
    """
    own = getattr(supernet, "forward_together", None)
    if own is not None:
        outputs: tuple[torch.Tensor, torch.Tensor] = own(x_bchw, drawn[: len(x_bchw)], **drops)
        return outputs if patches else outputs[0]
    drawn = drawn[: max(1, len(x_bchw) // 2)]  # batch statistics need two images
    parts: list[Any] = [
        _subnet_forward(supernet, architecture, drops, x_bchw[i :: len(drawn)])
        for i, architecture in enumerate(drawn)
    ]
    order = torch.cat([torch.arange(i, len(x_bchw), len(drawn)) for i in range(len(drawn))])
    return torch.cat(parts)[order.argsort().to(x_bchw.device)]
