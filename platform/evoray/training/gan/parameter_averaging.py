"""Stage 2 in several processes: each trains its share of the pairs on weights of its own, which are
averaged then.

A departure from Ying et al. 2022, whose pairs train one after the other on the same discriminator
weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

_RESTING = (".u", ".v")  # singular vectors: unit vectors, whose mean is none


def merged(
    before: Mapping[str, Tensor], shares: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """Weights or moments after all shares: a pair's generator is its share's own, discriminator
    tensors are averaged.

    The mean is over the shares that changed a tensor, as most of a supernet is not reached by one
    share.
    """
    found: dict[str, Tensor] = {}
    for name in dict.fromkeys(name for share in shares for name in share):
        if name.startswith("generator-"):
            owner = int(name.partition(".")[0].removeprefix("generator-")) % len(shares)
            if name in shares[owner]:
                found[name] = shares[owner][name]
            continue
        old = before.get(name)
        changed = [
            share[name]
            for share in shares
            if name in share and (old is None or not torch.equal(share[name], old))
        ]
        if not changed:
            assert old is not None
            found[name] = old
        elif name.endswith(_RESTING) or not changed[0].is_floating_point():
            found[name] = changed[0]
        else:
            found[name] = torch.stack(changed).mean(dim=0)
    return found
