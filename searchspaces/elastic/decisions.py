"""The options that an architecture chose, written out for its space's own decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from searchspaces.base import Architecture, Option, SearchSpace

Value = TypeVar("Value", bound=Option)


def checked(space: SearchSpace, architecture: Architecture) -> tuple[int, ...]:
    """The choices of an architecture of this space.

    Raises:
        ValueError: It is of another space.
    """
    if architecture.space != space.name or len(architecture.choices) != len(space.genes):
        raise ValueError(
            f"architecture {architecture.key} has {len(architecture.choices)} genes of space "
            f"{architecture.space!r}, but this is "
            f"{space.name!r} with {len(space.genes)}: load the space that the architecture names"
        )
    return architecture.choices


def decided(
    space: SearchSpace, decisions: Mapping[str, tuple[Value, ...]], architecture: Architecture
) -> dict[str, Value]:
    """The option of every decision by name: the architecture's where it is a gene, or else the only
    one.

    Raises:
        ValueError: The architecture is of another space.
    """
    chosen = {name: options[0] for name, options in decisions.items()}
    for gene, choice in zip(space.genes, checked(space, architecture), strict=True):
        chosen[gene.name] = decisions[gene.name][choice]
    return chosen
