"""Joint genomes: a space whose rows hold a row of each of several spaces, such as two networks and
the chip that runs both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, cat, nn

from searchspaces.base import (
    Architecture,
    Choices,
    Gene,
    HasDecodingGenes,
    SearchSpace,
    architectures,
    builds,
)


class Genes(Protocol):
    """Contract of a part: genes and their canonical form. A part that also builds networks is a
    `SearchSpace`.
    """

    @property
    def name(self) -> str: ...

    @property
    def genes(self) -> tuple[Gene, ...]: ...

    def repair(self, choices: Choices) -> Choices: ...


@dataclass(frozen=True, kw_only=True)
class Product:
    """Parts side by side; genes are named "LABEL.GENE", and a part's own rules hold within it.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        labels: One a part.
        parts: Search spaces, and things with genes alone such as chips; at least one search space.
        in_channels: Channels of an input that all networks share, for tests and profiles; tasks
            have inputs of their own.
        image_size: Side of that input.
    """

    name: str
    labels: tuple[str, ...]
    parts: tuple[Genes, ...]
    in_channels: int = 3
    image_size: int = 64

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.parts) or len(set(self.labels)) != len(self.labels):
            raise ValueError(
                f"{self.name} needs one distinct label for each of {len(self.parts)} parts, got "
                f"{self.labels}"
            )
        if any("." in label or not label for label in self.labels):
            raise ValueError(f"{self.name}: labels must be words without a dot, got {self.labels}")
        if not self.networks:
            raise ValueError(
                f"{self.name} has no part that builds networks; give at least one search space"
            )

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        return tuple(
            Gene(f"{label}.{gene.name}", gene.options)
            for label, part in zip(self.labels, self.parts, strict=True)
            for gene in part.genes
        )

    @property
    def decoding_genes(self) -> tuple[str, ...]:
        """Decoding genes of all parts, each with its part's label in front."""
        return tuple(
            f"{label}.{name}"
            for label, part in zip(self.labels, self.parts, strict=True)
            if isinstance(part, HasDecodingGenes)
            for name in part.decoding_genes
        )

    @property
    def networks(self) -> dict[str, SearchSpace]:
        """The parts that build networks, by label."""
        return {
            label: part for label, part in zip(self.labels, self.parts, strict=True) if builds(part)
        }

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {}

    def split(self, choices: Choices) -> list[tuple[Genes, Choices]]:
        """(n, g) -> every part with its own columns."""
        ends = np.cumsum([len(part.genes) for part in self.parts])
        return list(zip(self.parts, np.split(np.asarray(choices), ends[:-1], axis=1), strict=True))

    def repair(self, choices: Choices) -> Choices:
        return np.concatenate(
            [part.repair(own) for part, own in self.split(choices)], axis=1
        ).astype(np.int16)

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" and "params" summed over the networks, and each network's own as
        "LABEL.macs"; (n,) each.
        """
        own = {
            label: part.costs(columns)
            for label, (part, columns) in zip(self.labels, self.split(choices), strict=True)
            if builds(part)
        }
        found = {
            cost: sum((costs[cost] for costs in own.values()), np.zeros(len(choices)))
            for cost in ("macs", "params")
        }
        return found | {
            f"{label}.{cost}": costs[cost]
            for label, costs in own.items()
            for cost in ("macs", "params")
        }

    def build_supernet(self) -> nn.Module:
        return JointSupernet(
            self, {label: part.build_supernet() for label, part in self.networks.items()}
        )

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        """A `JointNetwork`; a `supernet` is what this space's `build_supernet` returned."""
        if supernet is not None and not isinstance(supernet, JointSupernet):
            raise ValueError(
                f"{self.name} builds subnets from its own supernet, got a "
                f"{type(supernet).__name__}: give what build_supernet returned"
            )
        own = self.architectures(architecture)
        built = {
            label: part.build_subnet(
                None if supernet is None else supernet.networks[label], own[label]
            )
            for label, part in self.networks.items()
        }
        return JointNetwork(built)

    def architectures(self, architecture: Architecture) -> dict[str, Architecture]:
        """The networks' own architectures, by label.

        Raises:
            ValueError: The architecture is of another space.
        """
        if architecture.space != self.name or len(architecture.choices) != len(self.genes):
            raise ValueError(
                f"architecture {architecture.key} has {len(architecture.choices)} genes of space "
                f"{architecture.space!r}, but this is "
                f"{self.name!r} with {len(self.genes)}: load the space that the architecture names"
            )
        parts = self.split(np.array([architecture.choices], dtype=np.int16))
        return {
            label: architectures(part, own)[0]
            for label, (part, own) in zip(self.labels, parts, strict=True)
            if builds(part)
        }


class JointNetwork(nn.Module):
    """Several stand-alone networks.

    Attributes:
        networks: Networks by label; a task runs its own on its own inputs.
    """

    def __init__(self, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)

    def forward(self, x: Tensor) -> Tensor:
        """One input that all share, (b, ...) -> their outputs flattened side by side, (b, f)."""
        return _beside([network(x) for network in self.networks.values()])


class JointSupernet(nn.Module):
    """The supernets of a product's networks.

    Attributes:
        networks: Networks by label.
    """

    def __init__(self, space: Product, networks: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.space = space
        self.networks = nn.ModuleDict(networks)

    def forward(
        self,
        x: Tensor,
        architecture: Architecture,
        *,
        dropout: float = 0.0,
        drop_connect: float = 0.0,
    ) -> Tensor:
        """One input that all share, (b, ...) -> the outputs of the architecture's networks
        flattened side by side, (b, f).
        """
        own = self.space.architectures(architecture)
        return _beside(
            [
                network(x, own[label], dropout=dropout, drop_connect=drop_connect)
                for label, network in self.networks.items()
            ]
        )


def _beside(outputs: Sequence[Tensor]) -> Tensor:
    return cat([output.flatten(1) for output in outputs], dim=1)
