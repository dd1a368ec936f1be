"""Who trains against whom: EAGAN's stage 1, many generators and one discriminator, and stage 2, pairs with weight resetting.

Ying et al. 2022, arXiv:2111.15097, sections 4.1 and 4.2. All randomness is a function of the seed and the step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from evoray.seeds import generator_for, seed_for
from evoray.training.gan.config import GanConfig
from evoray.training.gan.step import Player, discriminator_step, generator_step
from searchspaces.base import Architecture


@dataclass(frozen=True)
class Losses:
    """Of one group: some steps of the discriminator, one of the generator.

    Attributes:
        discriminator: Mean over the steps; NaN where one changed nothing because it was not finite.
        generator: NaN likewise.
    """

    discriminator: float
    generator: float

    @property
    def are_finite(self) -> bool:
        return math.isfinite(self.discriminator) and math.isfinite(self.generator)


def drawn(count: int, seed: int, step: int) -> int:
    """Which of `count` candidates trains in this step: uniform, with replacement, so that each has the same expected share."""
    if count < 1:
        raise ValueError(f"there must be at least 1 candidate to draw from, got {count}")
    return int(generator_for(seed, "candidate", step).integers(count))


def latents(count: int, latent: int, seed: int, *words: str | int) -> Tensor:
    """(count, latent) standard normal, on the CPU, so that every device gets the same."""
    return torch.randn(count, latent, generator=torch.Generator().manual_seed(seed_for(seed, "latent", *words)))


class ManyToOne:
    """Stage 1: paths of one generator supernet, all against the same discriminator, so that their scores compare.

    Attributes:
        generators: The supernet, `generators(z, architecture)`.
        discriminator: The fixed architecture.
        num_steps: Discriminator steps so far.
    """

    def __init__(
        self, generators: nn.Module, discriminator: nn.Module, config: GanConfig, *, latent: int, seed: int, device: torch.device
    ) -> None:
        self.generators, self.discriminator = generators.to(device).train(), discriminator.to(device).train()
        self._players = (
            Player(self.generators, config.generator_rate, config),
            Player(self.discriminator, config.discriminator_rate, config),
        )
        self._config, self._latent, self._seed, self._device = config, latent, seed, device
        self.num_steps = 0

    def train(self, step: int, architecture: Architecture, reals: Iterable[Tensor]) -> Losses:
        """`critic_steps` discriminator steps, one for each batch of real images in [-1, 1], then one step of the path."""
        path = partial(self.generators, architecture=architecture)
        generator, discriminator = self._players
        found = []
        for part, real_bchw in enumerate(_batches(reals, self._config.critic_steps)):
            z = latents(len(real_bchw), self._latent, self._seed, "discriminator", step, part).to(self._device)
            found.append(discriminator_step(discriminator, self.discriminator, path, real_bchw.to(self._device), z))
            self.num_steps += 1
        z = latents(self._config.generator_batch, self._latent, self._seed, "generator", step).to(self._device)
        loss = generator_step(generator, path, self.discriminator, self.discriminator, z)
        return Losses(sum(found) / len(found), loss)


class OneToOne:
    """Stage 2: paths of one discriminator supernet, each against a private copy of the same generator.

    Discriminator weights are shared and never reset. After every round `reset` makes all copies deep copies of the best one: a
    generator that collapsed does not spoil the rounds after it.

    Attributes:
        discriminators: The supernet, `discriminators(x, architecture)`.
    """

    def __init__(
        self,
        discriminators: nn.Module,
        generator: nn.Module,
        num_pairs: int,
        config: GanConfig,
        *,
        latent: int,
        seed: int,
        device: torch.device,
    ) -> None:
        """`generator` stands alone, with the weights of stage 1; it is copied and stays as it is."""
        if num_pairs < 1:
            raise ValueError(f"stage 2 needs at least 1 pair, got {num_pairs}")
        self.discriminators = discriminators.to(device).train()
        self._player = Player(self.discriminators, config.discriminator_rate, config)
        self._config, self._latent, self._seed, self._device = config, latent, seed, device
        self._copies = [self._private(generator) for _ in range(num_pairs)]

    @property
    def generators(self) -> Sequence[nn.Module]:
        """The private copies, by pair."""
        return [player.network for player in self._copies]

    def train(self, step: int, pair: int, architecture: Architecture, reals: Iterable[Tensor]) -> Losses:
        """One group: `critic_steps` steps of the pair's discriminator, one for each batch of real images, then one of its generator."""
        generator = self._copies[pair]
        path = partial(self.discriminators, architecture=architecture)
        found = []
        for part, real_bchw in enumerate(_batches(reals, self._config.critic_steps)):
            z = latents(len(real_bchw), self._latent, self._seed, "discriminator", step, part).to(self._device)
            found.append(discriminator_step(self._player, path, generator.network, real_bchw.to(self._device), z))
        z = latents(self._config.generator_batch, self._latent, self._seed, "generator", step).to(self._device)
        loss = generator_step(generator, generator.network, self.discriminators, path, z)
        return Losses(sum(found) / len(found), loss)

    def reset(self, best: int) -> None:
        """Every copy becomes a deep copy of pair `best`'s; Adam's moments start anew with it, of which the paper says nothing."""
        source = self._copies[best].network
        self._copies = [self._private(source) for _ in self._copies]

    def _private(self, generator: nn.Module) -> Player:
        network = copy.deepcopy(generator).to(self._device).train()
        return Player(network, self._config.generator_rate, self._config)


def _batches(reals: Iterable[Tensor], count: int) -> list[Tensor]:
    batches = list(reals)
    if len(batches) != count:
        raise ValueError(f"one generator step takes {count} batches of real images (gan.critic_steps), got {len(batches)}")
    return batches
