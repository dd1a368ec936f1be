"""Gradient conflict: do two subnets pull the weights that they share in the same direction?

Tang et al. 2023 (ElasticViT), arXiv:2303.09730, explain with it why subnets of very different size
should not be trained side by side.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evoray.training.samplers import SubnetSampler
from evoray.training.tasks.base import Batch, Outputs, Task
from searchspaces.base import Architecture, SearchSpace

Loss = Callable[[Outputs], torch.Tensor]
Tensors = Mapping[str, torch.Tensor]

_COMPARED = 3  # subnets of a step
_COUNTABLE = 1 << 24  # the whole numbers up to here have a float32 of their own


def conflict_matrix(
    space: SearchSpace,
    supernet: nn.Module,
    architectures: Sequence[Architecture],
    inputs: Any,  # Any: what the space's networks take
    loss: Loss,
) -> NDArray[np.float64]:
    """(n, n) cosine similarity between the gradients of every two subnets on the weights that both
    use, on one batch; `loss` takes a network's outputs on its inputs.

    1 on the diagonal; below 0 two subnets work against each other; NaN where they share no weight
    or a gradient is zero there. Weights, their gradients, running statistics and modes stay as they
    are.
    """
    buffers = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    used = [used_weights(space, supernet, architecture) for architecture in architectures]
    gradients = [gradient(supernet, architecture, inputs, loss) for architecture in architectures]
    for name, buffer in supernet.named_buffers():
        buffer.copy_(buffers[name])
    count = len(architectures)
    cosines = np.eye(count)
    for i in range(count):
        for j in range(i):
            shared = {
                name: used[i][name] & used[j][name] for name in used[i].keys() & used[j].keys()
            }
            cosines[i, j] = cosines[j, i] = cosine(gradients[i], gradients[j], shared)
    return cosines


def step_conflict(
    space: SearchSpace,
    supernet: nn.Module,
    sampler: SubnetSampler,
    task: Task,
    step: int,
    batch: Batch,
) -> dict[str, float]:
    """Mean cosine similarity of gradients among the first three subnets of one step ("within"), and
    of those with the first three of the next step ("between"); a figure that cannot be told is left
    out. The sampler stays as it was."""
    state = sampler.state()
    now, then = ([*sampler.sample(at)][:_COMPARED] for at in (step, step + 1))
    sampler.restore(state)
    cosines = conflict_matrix(
        space,
        supernet,
        [*now, *then],
        batch.inputs,
        lambda outputs: task.plain_loss(outputs, batch),
    )
    num = len(now)
    own = cosines[:num, :num][np.triu_indices(num, 1)]
    across = cosines[:num, num:][[[a.key != b.key for b in then] for a in now]]
    found = {"within": own[np.isfinite(own)], "between": across[np.isfinite(across)]}
    return {name: float(values.mean()) for name, values in found.items() if len(values)}


def cosine(first: Tensors, second: Tensors, shared: Tensors) -> float:
    """Cosine similarity of two gradients over the entries that `shared` marks; NaN when one of them
    is zero there.
    """
    dot = first_square = second_square = 0.0
    for name, mask in shared.items():
        a, b = first[name][mask].double(), second[name][mask].double()
        dot += float(a @ b)
        first_square += float(a @ a)
        second_square += float(b @ b)
    norms = (first_square * second_square) ** 0.5
    return dot / norms if norms > 0 else float("nan")


def gradient(
    supernet: nn.Module,
    architecture: Architecture,
    inputs: Any,  # Any: what the space's networks take
    loss: Loss,
) -> Tensors:
    """The gradient of one subnet's loss by the name of the parameter; zeros where it does not
    reach. Nothing is left in `.grad`.
    """
    named = {
        name: parameter
        for name, parameter in supernet.named_parameters()
        if parameter.requires_grad
    }
    value = loss(supernet(inputs, architecture))
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    pairs = zip(named.items(), found, strict=True)
    return {name: torch.zeros_like(parameter) if g is None else g for (name, parameter), g in pairs}


def used_weights(space: SearchSpace, supernet: nn.Module, architecture: Architecture) -> Tensors:
    """Marks the entries of the supernet's parameters that a subnet takes, by name, as booleans of
    the parameter's shape.

    Found by extracting the subnet from a supernet whose weights are their own numbers, so any space
    that copies slices will do.

    Raises:
        ValueError: The subnet has a parameter that the supernet does not have under that name, or
            weights that are no copies.
    """
    traced = copy.deepcopy(supernet).to("cpu", torch.float32)
    with torch.no_grad():
        for parameter in traced.parameters():
            parameter.copy_(torch.arange(parameter.numel(), dtype=torch.float32).view_as(parameter))
    subnet = space.build_subnet(traced, architecture)
    masks = {}
    parameters = dict(traced.named_parameters())
    for name, taken in subnet.named_parameters():
        if name not in parameters:
            raise ValueError(
                f"space {space.name!r} names no parameter {name!r} in its supernet: name a "
                "subnet's as the supernet's"
            )
        numbers = taken.detach().double().flatten()
        size = parameters[name].numel()
        if (
            size > _COUNTABLE
            or not (numbers == numbers.round()).all()
            or numbers.min() < 0
            or numbers.max() >= size
        ):
            raise ValueError(
                f"parameter {name!r} of space {space.name!r} is no copy of the supernet's, so what "
                "is shared is unknown"
            )
        mask = torch.zeros(size, dtype=torch.bool)
        mask[numbers.long()] = True
        masks[name] = mask.view(parameters[name].shape).to(next(supernet.parameters()).device)
    return masks
