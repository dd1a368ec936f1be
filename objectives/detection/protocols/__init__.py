"""Protocols that score text detection, one file each; this folder is their registry.

A module offers `build(*thresholds)`, which returns a function from the overlaps of a set to a
`Tally`. A protocol's name is its file's, and thresholds after a colon where it takes some:
`icdar2015`, `deteval:0.8,0.4`, `f:0.7`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from objectives.detection.overlaps import Overlaps
from objectives.detection.scores import Tally
from searchspaces.plugins.registry import Registry

Protocol = Callable[[Overlaps], Tally]

REGISTRY = Registry("objectives.detection.protocols", "protocol")


def names() -> list[str]:
    """The protocols that exist, sorted."""
    return REGISTRY.names()


def load(name: str) -> Protocol:
    """The protocol of a name with its thresholds.

    Raises:
        ValueError: There is no such protocol, or it takes no such thresholds.
    """
    head, colon, tail = name.partition(":")
    build: Callable[..., Protocol] = REGISTRY.module(head).build
    taken = list(inspect.signature(build).parameters)
    try:
        thresholds = [float(word) for word in tail.split(",")] if colon else []
    except ValueError:
        raise ValueError(
            f"protocol {name!r}: after the colon stand numbers with commas between them, "
            f"got {tail!r}"
        ) from None
    if colon and len(thresholds) != len(taken):
        wanted = f"{len(taken)} thresholds, {', '.join(taken)}" if taken else "no thresholds"
        raise ValueError(f"protocol {name!r}: {head} takes {wanted}, got {tail!r}")
    return build(*thresholds)
