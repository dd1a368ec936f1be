"""Pairings of generators and discriminators: EAGAN's stage 1, many generators and one
discriminator; stage 2, pairs with weight resetting; a pair alone.

Ying et al. 2022, arXiv:2111.15097, sections 4.1 and 4.2. All randomness is a function of the seed
and the step.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from evoray.seeds import generator_for, seed_for
from evoray.training.gan.config import GanConfig
from evoray.training.gan.step import Path, Player, discriminator_step, generator_step
from evoray.training.process_group import Group, SingleProcess
from evoray.training.recipe.averaging import moving_average
from searchspaces.base import Architecture


@dataclass(frozen=True)
class Losses:
    """Losses of one group: some steps of the discriminator, one of the generator.

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
    """Draws which of `count` candidates trains in this step: uniform, with replacement, so that
    each has the same expected share.
    """
    if count < 1:
        raise ValueError(f"there must be at least 1 candidate to draw from, got {count}")
    return int(generator_for(seed, "candidate", step).integers(count))


def latents(count: int, latent: int, seed: int, *words: str | int) -> Tensor:
    """(count, latent) standard normal, on the CPU, so that every device gets the same."""
    return torch.randn(
        count, latent, generator=torch.Generator().manual_seed(seed_for(seed, "latent", *words))
    )


class _Game:
    """Base of all pairings: one group of steps of two players."""

    def __init__(
        self,
        config: GanConfig,
        latent: int,
        seed: int,
        device: torch.device,
        group: Group | None = None,
    ) -> None:
        self._config, self._latent, self._seed, self._device = config, latent, seed, device
        self._group = group or SingleProcess()

    def _player(self, network: nn.Module, learning_rate: float) -> Player:
        return Player(network.to(self._device).train(), learning_rate, self._config, self._group)

    def _play(
        self,
        step: int,
        reals: Iterable[Tensor],
        generator: tuple[Player, Path],
        discriminator: tuple[Player, Path],
    ) -> Losses:
        """`critic_steps` discriminator steps, one for each batch of real images, then one of the
        generator.
        """
        batches = list(reals)
        if len(batches) != self._config.critic_steps:
            raise ValueError(
                f"one generator step takes {self._config.critic_steps} batches of real images "
                f"(gan.critic_steps), got {len(batches)}"
            )
        found = []
        for part, real_bchw in enumerate(batches):
            z = self._latents(len(real_bchw), "discriminator", step, part)
            found.append(
                discriminator_step(*discriminator, generator[1], real_bchw.to(self._device), z)
            )
        z = self._latents(
            max(1, self._config.generator_batch // self._group.world_size), "generator", step
        )
        return Losses(
            sum(found) / len(found),
            generator_step(*generator, discriminator[0].network, discriminator[1], z),
        )

    def _latents(self, count: int, *words: str | int) -> Tensor:
        own = (self._group.rank,) if self._group.rank else ()
        return latents(count, self._latent, self._seed, *words, *own).to(self._device)


class ManyToOne(_Game):
    """Stage 1: paths of one generator supernet, all against the same discriminator, so that their
    scores compare.

    Attributes:
        generators: The supernet, `generators(z, architecture)`.
        discriminator: The fixed architecture.
        players: Both, by name.
        num_steps: Discriminator steps so far.
    """

    def __init__(
        self,
        generators: nn.Module,
        discriminator: nn.Module,
        config: GanConfig,
        *,
        latent: int,
        seed: int,
        device: torch.device,
        group: Group | None = None,
    ) -> None:
        super().__init__(config, latent, seed, device, group)
        self.players: Mapping[str, Player] = {
            "generators": self._player(generators, config.generator_rate),
            "discriminator": self._player(discriminator, config.discriminator_rate),
        }
        self.generators, self.discriminator = generators, discriminator
        self.num_steps = 0

    def train(self, step: int, architecture: Architecture, reals: Iterable[Tensor]) -> Losses:
        """`critic_steps` discriminator steps, one for each batch of real images in [-1, 1], then
        one step of the path.
        """
        path = partial(self.generators, architecture=architecture)
        losses = self._play(
            step,
            reals,
            (self.players["generators"], path),
            (self.players["discriminator"], self.discriminator),
        )
        self.num_steps += self._config.critic_steps
        return losses


class OneToOne(_Game):
    """Stage 2: paths of one discriminator supernet, each against a private copy of the same
    generator.

    Discriminator weights are shared and never reset. After every round `reset` makes all copies
    deep copies of the best one: a generator that collapsed does not spoil the rounds after it.

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
        """`generator` stands alone, with the weights of stage 1; it is copied and stays as it
        is.
        """
        if num_pairs < 1:
            raise ValueError(f"stage 2 needs at least 1 pair, got {num_pairs}")
        super().__init__(config, latent, seed, device)
        self.discriminators = discriminators
        self._discriminators = self._player(discriminators, config.discriminator_rate)
        self._copies = [self._private(generator) for _ in range(num_pairs)]

    @property
    def generators(self) -> Sequence[nn.Module]:
        """The private copies, by pair."""
        return [player.network for player in self._copies]

    @property
    def players(self) -> Mapping[str, Player]:
        """The supernet "discriminators", and each pair's "generator-INDEX"."""
        return {
            "discriminators": self._discriminators,
            **{f"generator-{i}": player for i, player in enumerate(self._copies)},
        }

    def train(
        self, step: int, pair: int, architecture: Architecture, reals: Iterable[Tensor]
    ) -> Losses:
        """One group: `critic_steps` steps of the pair's discriminator, one for each batch of real
        images, then one of its generator.
        """
        generator = self._copies[pair]
        path = partial(self.discriminators, architecture=architecture)
        return self._play(step, reals, (generator, generator.network), (self._discriminators, path))

    def reset(self, best: int) -> None:
        """Every copy becomes a deep copy of pair `best`'s; Adam's moments start anew with it, of
        which the paper says nothing.
        """
        source = self._copies[best].network
        self._copies = [self._private(source) for _ in self._copies]

    def follow(self, origins: Sequence[int]) -> None:
        """Without resetting: pair i goes on with the generator of the old pair `origins[i]`.

        The first that follows an old pair keeps its generator with Adam's moments, any other gets a
        deep copy without them.
        """
        if len(origins) != len(self._copies) or not all(
            0 <= origin < len(self._copies) for origin in origins
        ):
            raise ValueError(
                f"{len(self._copies)} pairs need as many old pairs to follow, got {list(origins)}"
            )
        before, taken = self._copies, set[int]()
        self._copies = []
        for origin in origins:
            self._copies.append(
                self._private(before[origin].network) if origin in taken else before[origin]
            )
            taken.add(origin)

    def _private(self, generator: nn.Module) -> Player:
        return self._player(copy.deepcopy(generator), self._config.generator_rate)


class Pair(_Game):
    """One generator and one discriminator alone: final training, probes, and what a search is
    compared with.

    Attributes:
        generator: Trained.
        players: By name: generator, discriminator, and "average", whose weights no step descends,
            where there is one.
        average: The moving average of the generator's weights; None where gan.average_decay is 0.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        config: GanConfig,
        *,
        latent: int,
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__(config, latent, seed, device)
        self.players: Mapping[str, Player] = {
            "generator": self._player(generator, config.generator_rate),
            "discriminator": self._player(discriminator, config.discriminator_rate),
        }
        self.generator, self.discriminator = generator, discriminator
        self.average = (
            moving_average(generator, config.average_decay) if config.average_decay else None
        )
        if self.average is not None:
            self.players = {
                **self.players,
                "average": Player(self.average.module, config.generator_rate, config),
            }

    @property
    def best(self) -> nn.Module:
        """Generator that images are made with: the averaged one where there is one."""
        return self.generator if self.average is None else self.average.module

    def train(self, step: int, reals: Iterable[Tensor]) -> Losses:
        """`critic_steps` discriminator steps, one for each batch of real images, then one of the
        generator.
        """
        losses = self._play(
            step,
            reals,
            (self.players["generator"], self.generator),
            (self.players["discriminator"], self.discriminator),
        )
        if self.average is not None:
            self.average.update_parameters(self.generator)
        return losses
