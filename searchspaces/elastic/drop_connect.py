"""Drop-connect: whole residual branches dropped, sample by sample (Huang et al. 2016,
arXiv:1603.09382).
"""

from __future__ import annotations

from torch import Tensor


def drop_connect(x: Tensor, rate: float) -> Tensor:
    """Sets each sample of the batch to 0 with probability `rate` and divides the others by 1 -
    rate; 0 changes nothing.

    It acts whenever the rate is above 0, in evaluation mode too: the caller says what is
    regularised, not the mode.
    """
    if rate == 0.0:
        return x
    if not 0.0 < rate < 1.0:
        raise ValueError(
            f"drop_connect must be at least 0 and below 1, got {rate}: give the probability of "
            "dropping a branch"
        )
    keep = 1.0 - rate
    return x * (x.new_empty((x.shape[0], *[1] * (x.ndim - 1))).bernoulli_(keep) / keep)
