"""The stages of EAGAN and the final training, as descriptions from which a worker makes the game
that it trains.

Ying et al. 2022, arXiv:2111.15097, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from evoray.data.parts.images import LabelledImageSource
from evoray.seeds import seed_for
from evoray.training.gan.config import StageConfig
from evoray.training.gan.pairings import Losses, ManyToOne, OneToOne, Pair
from evoray.training.gan.rounds import Round
from evoray.training.gan.step import Player
from evoray.training.process_group import Group
from searchspaces.base import Architecture, SearchSpace


class Game(Protocol):
    """Players of a stage and their steps against each other, as `pairings` has them."""

    @property
    def players(self) -> Mapping[str, Player]: ...

    def begin(self, new: Round) -> None:
        """Prepares a round, once before its first step."""
        ...

    def play(
        self, step: int, member: int, architecture: Architecture, reals: Sequence[Tensor]
    ) -> Losses: ...

    def images(self, member: int, architecture: Architecture, z_bz: Tensor) -> Tensor:
        """Images that the member's generator makes with its present weights."""
        ...


class Stage(Protocol):
    """A stage's description: small but for the network it starts from, picklable; a worker makes
    the game of it.
    """

    @property
    def space(self) -> SearchSpace: ...

    @property
    def source(self) -> LabelledImageSource: ...

    @property
    def config(self) -> StageConfig: ...

    @property
    def latent(self) -> int: ...

    @property
    def seed(self) -> int: ...

    def game(self, device: torch.device, group: Group) -> Game: ...


@dataclass(frozen=True)
class GeneratorStage:
    """Stage 1: generators of `space` against one discriminator, `opponent`, whose weights are the
    first ones.
    """

    space: SearchSpace
    source: LabelledImageSource
    config: StageConfig
    latent: int
    seed: int
    opponent: nn.Module

    def game(self, device: torch.device, group: Group) -> Game:
        supernet = _initialised(self.space, self.seed)
        return _Generators(
            ManyToOne(
                supernet,
                self.opponent,
                self.config.gan,
                latent=self.latent,
                seed=self.seed,
                device=device,
                group=group,
            )
        )


@dataclass(frozen=True)
class DiscriminatorStage:
    """Stage 2: `num_pairs` discriminators of `space`, each against its own copy of `generator`,
    which has the weights of stage 1.
    """

    space: SearchSpace
    source: LabelledImageSource
    config: StageConfig
    latent: int
    seed: int
    generator: nn.Module
    num_pairs: int

    def game(self, device: torch.device, group: Group) -> Game:
        if group.world_size > 1:
            raise ValueError(
                f"stage 2 trains on one rank, got {group.world_size}: its pairs are independent, "
                "divide those instead"
            )
        supernet = _initialised(self.space, self.seed)
        return _Pairs(
            OneToOne(
                supernet,
                self.generator,
                self.num_pairs,
                self.config.gan,
                latent=self.latent,
                seed=self.seed,
                device=device,
            )
        )


@dataclass(frozen=True)
class FinalStage:
    """A found pair alone, from the weights that are given; its single round has one member, the
    generator's architecture.
    """

    space: SearchSpace
    source: LabelledImageSource
    config: StageConfig
    latent: int
    seed: int
    generator: nn.Module
    discriminator: nn.Module

    def game(self, device: torch.device, group: Group) -> Game:
        return _SinglePair(
            Pair(
                self.generator,
                self.discriminator,
                self.config.gan,
                latent=self.latent,
                seed=self.seed,
                device=device,
            )
        )


class _Generators:
    def __init__(self, game: ManyToOne) -> None:
        self._game = game
        self.players = game.players

    def begin(self, new: Round) -> None:
        """Weights are shared: there is nothing to hand on."""

    def play(
        self, step: int, member: int, architecture: Architecture, reals: Sequence[Tensor]
    ) -> Losses:
        return self._game.train(step, architecture, reals)

    def images(self, member: int, architecture: Architecture, z_bz: Tensor) -> Tensor:
        made: Tensor = self._game.generators(z_bz, architecture)
        return made


class _Pairs:
    def __init__(self, game: OneToOne) -> None:
        self._game = game

    @property
    def players(self) -> Mapping[str, Player]:
        return self._game.players

    def begin(self, new: Round) -> None:
        if new.resets:
            self._game.reset(new.origins[0] if new.origins else 0)
        else:
            self._game.follow(new.origins or [0] * len(new.members))

    def play(
        self, step: int, member: int, architecture: Architecture, reals: Sequence[Tensor]
    ) -> Losses:
        return self._game.train(step, member, architecture, reals)

    def images(self, member: int, architecture: Architecture, z_bz: Tensor) -> Tensor:
        network = self._game.generators[member]
        made: Tensor = network.eval()(z_bz)
        network.train()
        return made


class _SinglePair:
    def __init__(self, game: Pair) -> None:
        self._game = game
        self.players = game.players

    def begin(self, new: Round) -> None:
        """Begins nothing: the pair has its weights already."""

    def play(
        self, step: int, member: int, architecture: Architecture, reals: Sequence[Tensor]
    ) -> Losses:
        return self._game.train(step, reals)

    def images(self, member: int, architecture: Architecture, z_bz: Tensor) -> Tensor:
        network = self._game.generator
        made: Tensor = network.eval()(z_bz)
        network.train()
        return made


def _initialised(space: SearchSpace, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "initialisation"))
        return space.build_supernet()
