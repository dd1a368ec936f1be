"""Subnet samplers: which subnets one training step trains. One a file; this folder is their registry."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any, Protocol, cast

from searchspaces.base import Architecture, SearchSpace, nearest


class SubnetSampler(Protocol):
    """A function of (seed, step, state): every rank draws the same subnets without talking."""

    def sample(self, step: int) -> Sequence[Architecture]:
        """The subnets of one step, in the order in which they are trained."""
        ...

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Takes the losses of the step, equal on every rank."""
        ...

    def state(self) -> dict[str, Any]:
        """What `restore` needs, as JSON."""
        ...

    def restore(self, state: dict[str, Any]) -> None: ...


def names() -> list[str]:
    """The samplers that exist, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def load(name: str, space: SearchSpace, *, seed: int, num_random: int) -> SubnetSampler:
    """A fresh sampler.

    Raises:
        ValueError: There is no such sampler.
    """
    if name not in names():
        raise ValueError(f"no subnet sampler {name!r}; {nearest(name, names())}")
    return cast(SubnetSampler, importlib.import_module(f"{__name__}.{name}").build(space, seed=seed, num_random=num_random))
