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
from evoray.training.gan.images import RealImages
from evoray.training.gan.pairings import Losses, Pair, drawn, latents
from evoray.training.gan.rounds import Calendar, Round, RoundPart
from evoray.training.gan.stage import FinalStage, Stage
from evoray.training.metrics_log import MetricsLog
from evoray.training.process_group import Group, SingleProcess
from evoray.variation import sample_valid
from searchspaces.base import Architecture, architectures

_WATCHED = 16  # images that are looked at for a collapse


class StageTraining:
    """One stage in this process.

    Attributes:
        step: The next one.
    """

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
        self._stage, self._rounds, self._folder = stage, list(rounds), folder
        self._group, self._device = group or SingleProcess(), device or torch.device("cpu")
        self._config, self._gan = stage.config, stage.config.gan
        self._reals = RealImages(stage.source, self._gan.discriminator_batch, seed=stage.seed)
        self._calendar = Calendar.of(self._config, self._reals)
        self._game = stage.game(self._device, self._group)
        self._watch = CollapseWatch(self._reals.first(64))
        batch = self._gan.discriminator_batch * self._gan.critic_steps
        own = folder if self._group.rank == 0 else None
        self._metrics_log = MetricsLog(
            own, self._config, self._calendar.total, self._calendar.per_epoch, batch
        )
        self.step = 0

    def run(self) -> None:
        """To the end of the last of the rounds, from the newest checkpoint; a finished training
        returns at once.

        Raises:
            ValueError: The checkpoint belongs to another training.
        """
        self._resume()
        self._metrics_log.resume(self.step)
        end = self._calendar.start(len(self._rounds))
        while self.step < end:
            losses = self._train(self.step)
            self.step += 1
            last = self.step == end
            known = [(name, value) for name, value in vars(losses).items() if math.isfinite(value)]
            self._metrics_log.add(self.step - 1, known, self._gan.generator_rate, 0, flush=last)
            if last or self._metrics_log.is_checkpoint_due():
                self._save()

    def run_share(self, share: RoundPart, until: int) -> dict[str, Any]:
        """This share of the steps up to `until`, from the newest checkpoint and without writing
        one: what `merged` takes.

        Returns:
            weights and optimizer: Tensors by name, as in a checkpoint; losses; collapses.
        """
        self._resume()
        found: list[Losses] = []
        while self.step < until:
            member, _ = self._member(self.step)
            if member % share.of == share.index:
                found.append(self._train(self.step))
            elif self._is_first(self.step):
                self._begin(self.step)
            self.step += 1
        return {
            "weights": self._weights(),
            "optimizer": self._optimizer(),
            "losses": found,
            "collapses": self._watch.records(),
        }

    def _train(self, step: int) -> Losses:
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
        """Who trains: in the warm-up a random network as member 0, then one of the round's
        population, uniformly drawn.
        """
        number = self._calendar.round_of(step)
        if number < 0:
            rng = generator_for(self._stage.seed, "warm-up", step)
            return 0, architectures(self._stage.space, sample_valid(self._stage.space, 1, rng))[0]
        members = self._rounds[number].members
        member = drawn(len(members), self._stage.seed, step)
        return member, members[member]

    def _resume(self) -> None:
        found = checkpoints.latest_to_go_on(self._folder) if self._group.rank == 0 else None
        step = torch.tensor([float(found.state["step"] if found else 0)], device=self._device)
        self._group.add_up(step)
        self.step = int(step.item())
        if self.step:
            self._load(checkpoints.Checkpoint.at(self._folder, self.step))

    def _load(self, checkpoint: checkpoints.Checkpoint) -> None:
        for name, mine in (("seed", self._stage.seed), ("steps", self._calendar.total)):
            if checkpoint.state[name] != mine:
                raise ValueError(
                    f"checkpoint {checkpoint.folder} is of another training ({name} "
                    f"{checkpoint.state[name]}, not {mine}): use a new folder"
                )
        weights, moments = checkpoint.weights(), checkpoint.optimizer()
        for name, player in self._game.players.items():
            player.network.load_state_dict(part_of(weights, name))
            checkpoints.restore_optimizer(
                player.optimizer, part_of(moments, name), dict(player.network.named_parameters())
            )
        self._watch.restore(checkpoint.state["collapses"])

    def _weights(self) -> dict[str, Tensor]:
        players = self._game.players.items()
        return {
            f"{name}.{key}": tensor
            for name, player in players
            for key, tensor in player.network.state_dict().items()
        }

    def _optimizer(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for name, player in self._game.players.items():
            names = {
                id(parameter): f"{name}.{key}"
                for key, parameter in player.network.named_parameters()
            }
            found |= checkpoints.optimizer_tensors(player.optimizer, names)
        return found

    def _save(self) -> None:
        if self._group.rank == 0:
            save(
                self._folder,
                self._stage,
                self._calendar,
                self.step,
                self._weights(),
                self._optimizer(),
                self._watch.records(),
            )


def train_rounds(stage: Stage, rounds: Sequence[Round], folder: str, use_gpu: bool) -> None:
    """A whole training in this process, on one thread."""
    StageTraining(stage, rounds, folder=Path(folder), device=_device(use_gpu)).run()


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


def save(
    folder: Path,
    stage: Stage,
    calendar: Calendar,
    step: int,
    weights: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    collapses: list[dict[str, Any]],
) -> None:
    """Writes a stage's checkpoint."""
    state = {"step": step, "steps": calendar.total, "seed": stage.seed, "collapses": collapses}
    checkpoints.save(folder, weights, optimizer, state, keep=stage.config.keep_checkpoints)


def part_of(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Those of one player, by their names in its network."""
    start = f"{name}."
    return {
        key.removeprefix(start): tensor for key, tensor in tensors.items() if key.startswith(start)
    }
