"""What a step trains: a pass for each subnet that the sampler drew, with who teaches and who learns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.samplers import SubnetSampler
from evoray.training.step import Pass
from searchspaces.base import Architecture


def supernet_passes(
    supernet: nn.Module, sampler: SubnetSampler, config: TrainConfig, largest: Architecture, least: Architecture, step: int
) -> list[Pass]:
    """The biggest subnet is regularised and, when it comes first and distillation is on, teaches the rest.

    Of a sampler that is `last_learns`, all subnets of a step teach the last, which is the smallest of its kind.
    A sampler whose subnets go `together` gets one pass, in which they share the images and are regularised alike.
    """
    drawn = sampler.sample(step)
    if getattr(sampler, "together", False):
        rates = {"dropout": config.dropout, "drop_connect": config.drop_connect}
        return [Pass("together", partial(forward_together, supernet, drawn, rates))]
    teaching = config.distillation and drawn[0].key == largest.key
    last = len(drawn) - 1 if config.distillation and getattr(sampler, "last_learns", False) else 0
    passes = []
    for index, architecture in enumerate(drawn):
        is_biggest = architecture.key == largest.key
        name = "biggest" if is_biggest else "smallest" if architecture.key == least.key or 0 < last == index else "random"
        drops = {"dropout": config.dropout, "drop_connect": config.drop_connect} if is_biggest else {}
        forward = partial(_subnet_forward, supernet, architecture, drops)
        teaches = (teaching and index == 0) or index < last
        learns = (teaching and index > 0) or 0 < last == index
        passes.append(Pass(name, forward, teaches=teaches, learns=learns, architecture=architecture))
    return passes


def _subnet_forward(supernet: nn.Module, architecture: Architecture, drops: dict[str, float], x_bchw: torch.Tensor) -> torch.Tensor:
    logits: torch.Tensor = supernet(x_bchw, architecture, **drops)
    return logits


def forward_together(supernet: nn.Module, drawn: Sequence[Architecture], drops: dict[str, float], x_bchw: torch.Tensor) -> torch.Tensor:
    """(b, k) logits, image i by subnet i modulo their number; by the supernet's own way where it has one, which may share work."""
    own = getattr(supernet, "forward_together", None)
    if own is not None:
        logits: torch.Tensor = own(x_bchw, drawn[: len(x_bchw)], **drops)[0]
        return logits
    drawn = drawn[: max(1, len(x_bchw) // 2)]  # batch statistics need two images
    parts = [_subnet_forward(supernet, architecture, drops, x_bchw[i :: len(drawn)]) for i, architecture in enumerate(drawn)]
    order = torch.cat([torch.arange(i, len(x_bchw), len(drawn)) for i in range(len(drawn))])
    return torch.cat(parts)[order.argsort().to(x_bchw.device)]
