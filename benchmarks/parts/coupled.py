"""Generators and discriminators evolved together, which EAGAN divides into two stages: what a
benchmark compares it with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from evoray.seeds import seed_for
from evoray.training.gan.pairings import ManyToOne
from evoray.training.gan.rounds import Round
from evoray.training.gan.stage import GeneratorStage
from searchspaces.base import Architecture, Choices, builds
from searchspaces.parts.product import JointNetwork, Product


class Coupled(Product):
    """Pairs as one genome; what is measured is the generator."""

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        generators, own = self.split(choices)[0]
        assert builds(generators), "the part that is measured comes first"
        return generators.costs(own)

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        network = super().build_subnet(supernet, architecture)
        assert isinstance(network, JointNetwork)
        return network.networks["g"]


class _CoupledGame:
    def __init__(self, game: ManyToOne, space: Coupled) -> None:
        self._game, self._space = game, space
        self.players = game.players

    def begin(self, new: Round) -> None:
        """Weights are shared."""

    def play(
        self, step: int, member: int, architecture: Architecture, reals: Sequence[torch.Tensor]
    ) -> Any:
        own = self._space.architectures(architecture)
        self._game.discriminator = _Bound(self.players["discriminator"].network, own["d"])
        return self._game.train(step, own["g"], reals)

    def images(self, member: int, architecture: Architecture, z_bz: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self._game.generators(
            z_bz, self._space.architectures(architecture)["g"]
        )
        return made


class _Bound(nn.Module):
    """A supernet with one architecture bound to it."""

    def __init__(self, supernet: nn.Module, architecture: Architecture) -> None:
        super().__init__()
        self._run = (supernet, architecture)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self._run[0](x, self._run[1])
        return found


@dataclass(frozen=True)
class CoupledStage(GeneratorStage):
    """One stage for both: `opponent` is the discriminators' supernet."""

    def game(self, device: torch.device, group: Any) -> Any:
        space: Any = self.space
        with torch.random.fork_rng():
            torch.manual_seed(seed_for(self.seed, "initialisation"))
            supernet = space.parts[0].build_supernet()
        game = ManyToOne(
            supernet,
            self.opponent,
            self.config.gan,
            latent=self.latent,
            seed=self.seed,
            device=device,
        )
        return _CoupledGame(game, space)
