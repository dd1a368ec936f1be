"""One training step of a supernet: a pass for each subnet that the sampler drew, with teachers and
learners among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.process_group import Group
from evoray.training.samplers import SaysWhoLearns, SaysWhoShares, SubnetSampler
from evoray.training.step import ForwardPass
from evoray.training.tasks.base import Batch, Forward, Outputs, Task
from searchspaces.base import Architecture


@runtime_checkable
class RunsTogether(Protocol):
    """A supernet that runs several subnets on parts of one batch."""

    def forward_together(
        self, x_bchw: torch.Tensor, architectures: Sequence[Architecture], **rates: float
    ) -> Outputs:
        """Image i by network i modulo their number."""
        ...


def supernet_forward_passes(
    supernet: nn.Module,
    forward: Forward,
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
    and are regularised alike. `forward` runs the supernet, with its heads for training where the
    task has such.
    """
    drawn = sampler.sample(step)
    if isinstance(sampler, SaysWhoShares) and sampler.together:
        rates = {"dropout": config.dropout, "drop_connect": config.drop_connect}
        return [ForwardPass("together", partial(forward_together, supernet, forward, drawn, rates))]
    teaching = config.distillation and drawn[0].key == largest.key
    taught = isinstance(sampler, SaysWhoLearns) and sampler.last_learns
    last = len(drawn) - 1 if config.distillation and taught else 0
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
        subnet = partial(_subnet_forward, forward, architecture, drops)
        teaches = (teaching and index == 0) or index < last
        learns = (teaching and index > 0) or 0 < last == index
        forward_passes.append(
            ForwardPass(name, subnet, teaches=teaches, learns=learns, architecture=architecture)
        )
    return forward_passes


def _subnet_forward(
    forward: Forward,
    architecture: Architecture,
    drops: dict[str, float],
    inputs: Any,  # Any: what the space's networks take
) -> Outputs:
    return forward(inputs, architecture, **drops)


@torch.no_grad()
def subnet_losses(
    supernet: nn.Module,
    group: Group,
    task: Task,
    batch: Batch,
    architectures: Sequence[Architecture],
) -> list[float]:
    """The plain loss of each subnet on a batch, averaged over the ranks; nothing is trained."""
    device = next(supernet.parameters()).device
    losses = []
    for architecture in architectures:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            outputs = supernet(batch.inputs, architecture)
        losses.append(task.plain_loss(outputs, batch))
    found = torch.stack(losses)
    group.add_up(found)
    return [float(loss) for loss in (found / group.world_size).tolist()]


def forward_together(
    supernet: nn.Module,
    forward: Forward,
    drawn: Sequence[Architecture],
    drops: dict[str, float],
    x_bchw: torch.Tensor,
) -> Outputs:
    """Outputs for images, image i by subnet i modulo their number; by the supernet's own way where
    it has one, which may share work.
    """
    if isinstance(supernet, RunsTogether):
        return supernet.forward_together(x_bchw, drawn[: len(x_bchw)], **drops)
    drawn = drawn[: max(1, len(x_bchw) // 2)]  # batch statistics need two images
    parts: list[Any] = [
        forward(x_bchw[i :: len(drawn)], architecture, **drops)
        for i, architecture in enumerate(drawn)
    ]
    order = torch.cat([torch.arange(i, len(x_bchw), len(drawn)) for i in range(len(drawn))])
    return torch.cat(parts)[order.argsort().to(x_bchw.device)]
