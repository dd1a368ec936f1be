"""The moving average of a network's weights over its training."""

from __future__ import annotations

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def moving_average(network: nn.Module, decay: float) -> AveragedModel:
    """The averaged copy, in eval mode, under `.module`.

    `update_parameters(network)` after each step: average = decay x average + (1 - decay) x weights;
    buffers are the trained network's own.
    """
    if not 0 <= decay < 1:
        raise ValueError(
            f"the decay of averaged weights must be at least 0 and below 1, got {decay}"
        )
    mean = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(network, multi_avg_fn=mean)
    # torch begins with the weights after the first step; ours is an average from the initial ones
    average.n_averaged.fill_(1)
    average.eval().requires_grad_(False)
    return average
