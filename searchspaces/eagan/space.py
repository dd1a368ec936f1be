"""Base of the generator's and the discriminator's spaces: genes, rules, genotypes as the paper
prints them, and extraction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from searchspaces.base import Architecture, Choices, Gene, architectures
from searchspaces.eagan.cells import Options
from searchspaces.eagan.published import PUBLISHED
from searchspaces.eagan.rules import Rng, Rules
from searchspaces.eagan.spectral import initialise

NUM_CELLS = 3
Chosen = tuple[Mapping[str, str], ...]  # the option of every edge, a mapping a cell
Codes = Sequence[
    Sequence[int]
]  # (3, 7) integers as the paper and the released code print a genotype


@dataclass(frozen=True, kw_only=True)
class CellSpace(ABC):
    """Three cells of seven edges, each with genes of its own.

    Ying et al. 2022, arXiv:2111.15097, on the operations of AdversarialNAS (arXiv:1912.02037).
    Genotypes that differ by naming the two copies inside a cell the other way round are the same
    graph with other weights of the supernet, and stay distinct.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        image_size: Side of the images in pixels, a multiple of 16, as both networks halve or double
            it so often.
        image_channels: 3 for colour.
        channels: Channels of the cells.
    """

    name: str
    image_size: int = 32
    image_channels: int = 3
    channels: int

    def __post_init__(self) -> None:
        if self.image_size < 16 or self.image_size % 16:
            raise ValueError(
                f"{self.name}: image_size must be a multiple of 16 pixels, got {self.image_size}; "
                "resize the images"
            )
        if self.image_channels < 1 or self.channels < 1:
            raise ValueError(
                f"{self.name} needs at least 1 channel, got {self.image_channels} of images and "
                f"{self.channels} of cells"
            )

    @property
    @abstractmethod
    def edges(self) -> Mapping[str, tuple[str, ...]]:
        """The options of a cell's edges, in the order of the genotype."""

    @property
    @abstractmethod
    def rules(self) -> Rules: ...

    @property
    @abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the network."""

    @property
    def offsets(self) -> tuple[int, ...]:
        """(7,) what a genotype's integers are above the option's index."""
        return (0,) * len(self.edges)

    @abstractmethod
    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]: ...

    @abstractmethod
    def _network(self, options: Sequence[Options], chosen: Chosen | None) -> nn.Module:
        """The network that holds these options; `chosen` None for the supernet."""

    @abstractmethod
    def _canonical(self, choices: Choices) -> Choices:
        """Valid rows with the genes that nothing reads at their first valid option."""

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        return tuple(
            Gene(f"cell{k + 1}.{edge}", options)
            for k in range(NUM_CELLS)
            for edge, options in self.edges.items()
        )

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {
            name: self.architecture(codes) for name, codes in PUBLISHED.get(self.name, {}).items()
        }

    def repair(self, choices: Choices) -> Choices:
        return self._canonical(self.rules.repaired(np.asarray(choices)))

    def sample(self, num: int, rng: Rng) -> Choices:
        """(num, g) valid genotypes, as the paper draws them; as the next two, not yet canonical:
        `repair` them.
        """
        return self.rules.sample(num, rng)

    def mutate(self, choices: Choices, rng: Rng) -> Choices:
        """One gene of each row changes."""
        return self.rules.mutate(self.rules.repaired(choices), rng)

    def cross(self, first: Choices, second: Choices, rng: Rng) -> Choices:
        """One gene of each second parent enters the first."""
        return self.rules.cross(self.rules.repaired(first), self.rules.repaired(second), rng)

    def codes(self, architecture: Architecture) -> list[list[int]]:
        """The genotype as the paper prints it."""
        rows: list[list[int]] = (
            np.array(architecture.choices).reshape(NUM_CELLS, -1) + np.array(self.offsets)
        ).tolist()
        return rows

    def architecture(self, codes: Codes) -> Architecture:
        """The architecture of a printed genotype.

        Raises:
            ValueError: It is no valid genotype.
        """
        table = np.array(codes, dtype=np.int16)
        if table.shape != (NUM_CELLS, len(self.edges)):
            raise ValueError(
                f"a genotype of {self.name!r} is {NUM_CELLS} rows of {len(self.edges)} integers, "
                f"got shape {table.shape}"
            )
        row = (table - np.array(self.offsets)).reshape(1, -1).astype(np.int16)
        for column, dependent in self.rules.switches:
            row[row[:, column] == 0, dependent] = 0  # printed as -1
        if not self.rules.is_valid(row)[0]:
            raise ValueError(
                f"{table.tolist()} is no valid genotype of {self.name!r}: a value is out of range "
                "or a node has no input"
            )
        return architectures(self, row)[0]

    def build_supernet(self) -> nn.Module:
        network = self._network([self.edges] * NUM_CELLS, None)
        initialise(network)
        return network

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        """A copy of the selected operations and of all that the paths share; its weights are named
        as in the supernet.
        """
        chosen = self.chosen(architecture)
        with torch.device(
            "meta"
            # a network that takes its weights from the supernet draws nothing from torch's
            # generator
        ):
            subnet = self._network(
                [{edge: (option,) for edge, option in cell.items()} for cell in chosen], chosen
            )
        source = None if supernet is None else _tensors(supernet)
        subnet.to_empty(device="cpu" if source is None else next(iter(source.values())).device)
        for module in subnet.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        if source is None:
            initialise(subnet)
            return subnet
        running = (
            "running_mean",
            "running_var",
            "num_batches_tracked",
        )  # a network's own: unknown until it is recalibrated
        with torch.no_grad():
            for name, tensor in _tensors(subnet).items():
                if name.endswith(running):
                    continue
                if name not in source:
                    raise ValueError(
                        f"the supernet given has no tensor {name!r}, which the subnet needs: give "
                        "what this space's build_supernet "
                        "returned, without a wrapper such as DistributedDataParallel around it"
                    )
                tensor.copy_(source[name])
        return subnet

    def chosen(self, architecture: Architecture) -> Chosen:
        """The option of every edge.

        Raises:
            ValueError: The architecture is of another space.
        """
        if architecture.space != self.name or len(architecture.choices) != len(self.genes):
            raise ValueError(
                f"architecture {architecture.key} has {len(architecture.choices)} genes of space "
                f"{architecture.space!r}, but this is "
                f"{self.name!r} with {len(self.genes)}: load the space that the architecture names"
            )
        names = iter(architecture.choices)
        return tuple(
            {edge: options[next(names)] for edge, options in self.edges.items()}
            for _ in range(NUM_CELLS)
        )


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, the tensors themselves."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def refuse_dropout(dropout: float, drop_connect: float) -> None:
    """Raises ValueError for regularisers that these networks do not have."""
    if dropout or drop_connect:
        raise ValueError(
            f"EAGAN's networks have no dropout and no drop-connect, got {dropout} and "
            f"{drop_connect}: leave them at 0"
        )
