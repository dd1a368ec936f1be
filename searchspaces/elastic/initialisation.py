"""Drawing of fresh weights, for elastic layers and for stand-alone networks alike."""

from __future__ import annotations

import math

from torch import Tensor, nn


def he_normal_(weight: Tensor, groups: int = 1) -> None:
    """Fills a convolution weight (out, in / groups, *kernel) with N(0, 2 / fan_out).

    He et al. 2015, arXiv:1502.01852, equation 14; fan_out = out / groups x kernel, the outputs that
    one input reaches, so a depthwise weight counts its kernel alone.
    """
    fan_out = weight.shape[0] // groups * math.prod(weight.shape[2:])
    nn.init.normal_(weight, std=math.sqrt(2.0 / fan_out))


def uniform_fan_in_(weight: Tensor) -> None:
    """Fills a linear weight (out, in) with U(-1 / sqrt(in), 1 / sqrt(in))."""
    bound = 1.0 / math.sqrt(weight.shape[1])
    nn.init.uniform_(weight, -bound, bound)


def initialise(network: nn.Module) -> None:
    """Draws the weights of torch's own convolutions, linear layers, batch and group norms inside
    `network` by the rules above.

    Biases and running means become 0, scales and running variances 1; gammas that must start at 0
    are the caller's.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            he_normal_(module.weight, module.groups)
        elif isinstance(module, nn.Linear):
            uniform_fan_in_(module.weight)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def redraw_as_torch(network: nn.Module) -> None:
    """Draws weights and biases of all convolutions and linear layers, plain or elastic, as torch's
    constructors do.

    That is U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)) for both. Norms and other parameters stay.
    """
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if not isinstance(weight, Tensor) or weight.ndim < 2:
            continue
        bound = 1.0 / math.sqrt(weight[0].numel())
        for parameter in (weight, bias):
            if isinstance(parameter, Tensor):
                nn.init.uniform_(parameter, -bound, bound)
