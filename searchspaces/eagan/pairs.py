"""Stage 2 as a search space: its genes are a discriminator's, its networks the generators that
trained against them.

A discriminator has no score of its own; it is judged by the images of its private copy of the
generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from searchspaces.base import Architecture, Choices, Gene, SearchSpace
from searchspaces.eagan.rules import Rng
from searchspaces.eagan.space import CellSpace


class Copies(nn.Module):
    """One generator a pair, all of one architecture."""

    def __init__(self, generators: Sequence[nn.Module]) -> None:
        super().__init__()
        self.generators = nn.ModuleList(generators)


@dataclass(frozen=True)
class Pairs:
    """The discriminators of one population.

    Attributes:
        discriminators: Space with these genes, rules and costs.
        generators: The space of the generators.
        generator: Architecture of all generators.
        keys: Keys of the discriminators that have a generator, in the order of the copies.
    """

    discriminators: CellSpace
    generators: SearchSpace
    generator: Architecture
    keys: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.discriminators.name

    @property
    def genes(self) -> tuple[Gene, ...]:
        return self.discriminators.genes

    @property
    def published(self) -> Mapping[str, Architecture]:
        return self.discriminators.published

    def repair(self, choices: Choices) -> Choices:
        return self.discriminators.repair(choices)

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """Costs of the discriminator."""
        return self.discriminators.costs(choices)

    def sample(self, num: int, rng: Rng) -> Choices:
        return self.discriminators.sample(num, rng)

    def mutate(self, choices: Choices, rng: Rng) -> Choices:
        return self.discriminators.mutate(choices, rng)

    def cross(self, first: Choices, second: Choices, rng: Rng) -> Choices:
        return self.discriminators.cross(first, second, rng)

    def build_supernet(self) -> nn.Module:
        """The copies, one for each key."""
        return Copies([self.generators.build_subnet(None, self.generator) for _ in self.keys])

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        """The generator of this discriminator's pair.

        Raises:
            ValueError: The discriminator is in no pair.
        """
        if not isinstance(supernet, Copies) or architecture.key not in self.keys:
            raise ValueError(
                f"discriminator {architecture.key} has no generator that was trained against it: "
                "train the pair first"
            )
        copy = self.generators.build_subnet(None, self.generator)
        copy.load_state_dict(supernet.generators[self.keys.index(architecture.key)].state_dict())
        return copy


def copies_state(generators: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The state dict of `Copies` from those of its generators."""
    return {
        f"generators.{i}.{name}": tensor
        for i, state in enumerate(generators)
        for name, tensor in state.items()
    }
