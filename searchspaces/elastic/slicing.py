"""The one rule by which a subnet's weight lies inside the supernet's: lowest-index channels, centre
of the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_FIRST_KERNEL_DIM = 2  # weights are (out, in, *kernel)


def sliced(weight: Tensor, shape: Sequence[int]) -> Tensor:
    """A view of `weight`, (out, in, *kernel) or fewer dimensions, with this shape; no copy.

    Yu et al. 2020, arXiv:2003.11142: the first channels on both sides, the centre crop of the
    kernel.

    Raises:
        ValueError: `shape` does not fit, or its kernel has no centre in the larger one.
    """
    view = weight
    for dim, (size, whole) in enumerate(zip(shape, weight.shape, strict=True)):
        if size == whole:
            continue
        start = (whole - size) // 2 if dim >= _FIRST_KERNEL_DIM else 0
        if not 0 < size < whole or (dim >= _FIRST_KERNEL_DIM and (whole - size) % 2):
            raise ValueError(
                f"a slice of shape {tuple(shape)} does not fit into a weight of shape "
                f"{tuple(weight.shape)}: "
                "every side must be at least 1 and at most the weight's, kernel sides smaller by "
                "an even number; check the widths asked for"
            )
        view = view.narrow(dim, start, size)
    return view


def copy_sliced(source: nn.Module, target: nn.Module) -> None:
    """Fills every parameter of `target` with its slice of the parameter of the same name in
    `source`.

    Raises:
        ValueError: `source` lacks a parameter, or has it too small.
    """
    weights = dict(source.named_parameters())
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            if name not in weights:
                raise ValueError(
                    f"the supernet given has no parameter {name!r}, which the subnet needs: give "
                    "what this space's build_supernet "
                    "returned, without a wrapper such as DistributedDataParallel around it"
                )
            parameter.copy_(sliced(weights[name], parameter.shape))
