"""Training a stage of EAGAN round by round, each round on its own population. Plain torch; one
process, or one rank of several.

All randomness is a function of the seed and the step, and a checkpoint holds every weight and
moment, so a training that was killed ends with the weights of one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from evoray.seeds import generator_for
from evoray.training import checkpoints
from evoray.training.gan.collapse import CollapseWatch
from evoray.training.gan.config import GanConfig
from evoray.training.gan.images import RealImages
from evoray.training.gan.pairings import Losses, Pair, drawn, latents
from evoray.training.gan.rounds import Calendar, Round, RoundPart
from evoray.training.gan.stage import FinalStage, Stage
from evoray.training.process_group import Group, SingleProcess
from evoray.training.resumable_loop import ResumableLoop, StepReport
from evoray.variation import sample_valid
from searchspaces.base import Architecture, architectures

_WATCHED = 16  # images that are looked at for a collapse


class StageTraining:
    """One stage in this process, the `Learner` of its players."""

    def __init__(
        self,
        stage: Stage,
        rounds: Sequence[Round],
        *,
        folder: Path,
        group: Group | None = None,
        device: torch.device | None = None,
    ) -> None:
        """`rounds` are those up to now, from the first; `folder` holds checkpoints and
        metrics.jsonl, and is seen by all ranks.
        """
        self._stage, self._rounds = stage, list(rounds)
        self._group, self._device = group or SingleProcess(), device or torch.device("cpu")
        self._config, self._gan = stage.config, stage.config.gan
        self._reals = RealImages(stage.source, self._gan.discriminator_batch, seed=stage.seed)
        self._calendar = Calendar.of(self._config, self._reals)
        self._game = stage.game(self._device, self._group)
        self._watch = CollapseWatch(self._reals.first(64))
        self._loop = ResumableLoop(
            self,
            self._calendar.length,
            self._config,
            seed=stage.seed,
            folder=folder,
            group=self._group,
            device=self._device,
        )

    def run(self) -> None:
        """Trains to the end of the last of the rounds, from the newest checkpoint; a finished
        training returns at once.

        Raises:
            ValueError: The checkpoint belongs to another training.
        """
        self._loop.run(until=self._calendar.start(len(self._rounds)))

    def run_share(self, share: RoundPart, until: int) -> dict[str, Any]:
        """Trains this share of the steps up to `until`, from the newest checkpoint and without
        writing one; returns it as `merged` takes it.

        Returns:
            weights and optimizer: Tensors by name, as in a checkpoint; losses; collapses.
        """
        self._loop.load_newest()
        found: list[Losses] = []
        for step in range(self._loop.next_step, until):
            member, _ = self._member(step)
            if member % share.of == share.index:
                found.append(self._play(step))
            elif self._is_first(step):
                self._begin(step)
        return {
            "weights": self.weights(),
            "optimizer": self.optimizer(),
            "losses": found,
            "collapses": self._watch.records(),
        }

    def train(self, step: int, restarts: int) -> StepReport:
        """The losses that are finite; a step with another one has changed nothing, is written down
        as a collapse, and the training goes on.
        """
        return report(self._play(step), self._gan)

    def weights(self) -> dict[str, Tensor]:
        """Every player's, by the player's name and the tensor's."""
        players = self._game.players.items()
        return {
            f"{name}.{key}": tensor
            for name, player in players
            for key, tensor in player.network.state_dict().items()
        }

    def optimizer(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, player in self._game.players.items():
            names = {
                id(parameter): f"{name}.{key}"
                for key, parameter in player.network.named_parameters()
            }
            found |= checkpoints.optimizer_tensors(player.optimizer, names)
        return found

    def state(self) -> dict[str, Any]:
        return {"collapses": self._watch.records()}

    def load(self, checkpoint: checkpoints.Checkpoint) -> None:
        weights, moments = checkpoint.weights(), checkpoint.optimizer()
        for name, player in self._game.players.items():
            player.network.load_state_dict(part_of(weights, name))
            checkpoints.restore_optimizer(
                player.optimizer, part_of(moments, name), dict(player.network.named_parameters())
            )
        self._watch.restore(checkpoint.state["collapses"])

    def _play(self, step: int) -> Losses:
        if self._is_first(step):
            self._begin(step)
        member, architecture = self._member(step)
        group = self._group
        reals = self._reals.batches(
            step, self._gan.critic_steps, rank=group.rank, world_size=group.world_size
        )
        losses = self._game.play(step, member, architecture, reals)
        if not losses.are_finite:
            self._watch.lost(step, architecture.key)
        elif (step + 1) % self._config.log_every_steps == 0:
            z = latents(_WATCHED, self._stage.latent, self._stage.seed, "watch", step).to(
                self._device
            )
            with torch.no_grad():
                self._watch.look(
                    step, architecture.key, self._game.images(member, architecture, z).cpu()
                )
        return losses

    def _is_first(self, step: int) -> bool:
        number = self._calendar.round_of(step)
        return number >= 0 and step == self._calendar.start(number)

    def _begin(self, step: int) -> None:
        self._game.begin(self._rounds[self._calendar.round_of(step)])

    def _member(self, step: int) -> tuple[int, Architecture]:
        """Member that trains: in the warm-up a random network as member 0, then one of the round's
        population, uniformly drawn.
        """
        number = self._calendar.round_of(step)
        if number < 0:
            rng = generator_for(self._stage.seed, "warm-up", step)
            return 0, architectures(self._stage.space, sample_valid(self._stage.space, 1, rng))[0]
        members = self._rounds[number].members
        member = drawn(len(members), self._stage.seed, step)
        return member, members[member]


def train_rounds(stage: Stage, rounds: Sequence[Round], folder: Path) -> None:
    """A whole training in this process, on the CPU and one thread."""
    StageTraining(stage, rounds, folder=folder, device=_device(use_gpu=False)).run()


def train_round_part(
    stage: Stage, rounds: Sequence[Round], folder: str, use_gpu: bool, share: RoundPart, until: int
) -> dict[str, Any]:  # Any: tensors by name, losses, collapses
    """A share of a stage-2 round in this process, as `StageTraining.run_share` gives it, on the
    CPU; with the share's "index".
    """
    found = StageTraining(stage, rounds, folder=Path(folder), device=_device(use_gpu)).run_share(
        share, until
    )
    tensors = {
        name: {key: tensor.detach().cpu() for key, tensor in found[name].items()}
        for name in ("weights", "optimizer")
    }
    return {**found, **tensors, "index": share.index}


def _device(use_gpu: bool) -> torch.device:
    torch.set_num_threads(1)
    return torch.device("cuda" if use_gpu else "cpu")


def train_from_scratch(stage: FinalStage, device: torch.device | None = None) -> nn.Module:
    """The stage in one go, without checkpoints: a pair that something else is compared with.
    Returns the generator, averaged if so.
    """
    gan = stage.config.gan
    game = Pair(
        stage.generator,
        stage.discriminator,
        gan,
        latent=stage.latent,
        seed=stage.seed,
        device=device or torch.device("cpu"),
    )
    reals = RealImages(stage.source, gan.discriminator_batch, seed=stage.seed)
    for step in range(Calendar.of(stage.config, reals).total):
        game.train(step, reals.batches(step, gan.critic_steps))
    return game.best


def report(losses: Losses, config: GanConfig) -> StepReport:
    """One step's losses, those that are finite, as metrics.jsonl shows them."""
    known = [(name, value) for name, value in vars(losses).items() if math.isfinite(value)]
    return StepReport(known, config.generator_rate)


def part_of(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Takes the tensors of one player, by their names in its network."""
    start = f"{name}."
    return {
        key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)
    }
