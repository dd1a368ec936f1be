"""The training loop of one rank, in plain torch.

All randomness is a function of (seed, step, rank): the order of the examples, their augmentation,
dropout, the subnets. A resumed training therefore ends with the weights of an uninterrupted one, on
the same number of ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import nn

from evoray.seeds import seed_for
from evoray.training import checkpoints, samplers
from evoray.training.config import TrainConfig
from evoray.training.gradient_conflict import step_conflict
from evoray.training.metrics_log import MetricsLog
from evoray.training.process_group import Group, SingleProcess
from evoray.training.recipe.averaging import AverageWeights
from evoray.training.recipe.channel_sorting import sort_channels
from evoray.training.recipe.schedules import learning_rate_at
from evoray.training.samplers import Horizon, SubnetSampler
from evoray.training.step import ForwardPass, Stepper
from evoray.training.supernet_step import subnet_losses, supernet_forward_passes
from evoray.training.tasks.base import (
    Batch,
    Distillable,
    Forward,
    HasTrainingHeads,
    Moment,
    Task,
)
from searchspaces.base import Architecture, SearchSpace, largest, smallest

# beside the optimizer's tensors: weights as they are trained, where the checkpoint's are averages
_TRAINED = "trained"
_MAX_RESTARTS = 3  # after a loss or gradient that is not finite

ForwardPassesOf = Callable[[int], Sequence[ForwardPass]]
Watch = Callable[[int, Batch], dict[str, float]]  # of a step


def total_steps(task: Task, config: TrainConfig) -> int:
    """Optimizer steps of a whole training, at least one."""
    return max(1, round(config.epochs * steps_per_epoch(task, config)))


def steps_per_epoch(task: Task, config: TrainConfig) -> int:
    """Optimizer steps of one pass over the examples; a last incomplete batch is left out."""
    return max(1, task.num_examples // config.batch_size)


def train_supernet(
    space: SearchSpace,
    task: Task,
    config: TrainConfig,
    *,
    seed: int,
    folder: Path,
    group: Group | None = None,
    device: torch.device | None = None,
    teachers: Sequence[nn.Module] = (),
) -> nn.Module:
    """Trains a supernet, from the newest checkpoint in `folder` where there is one; returns it.

    Rank 0 writes checkpoints and metrics.jsonl to `folder`, which all ranks see. `teachers` give
    the labels of the subnets that no other subnet teaches: their ensemble's instead of the hard
    ones, or with one teacher both in equal parts.

    Raises:
        RuntimeError: The loss or its gradient was not finite again and again.
        ValueError: The checkpoint in `folder` belongs to another training, or the task does not fit
            the recipe.
    """
    group, device = group or SingleProcess(), device or torch.device("cpu")
    if config.distillation and not isinstance(task, Distillable):
        raise ValueError(
            f"train.distillation lets the largest subnet teach, and task {task.name!r} has no soft "
            "labels: set it to False"
        )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_for(seed, "initialisation"))
        supernet = space.build_supernet().to(device)
        horizon = Horizon(epochs=config.epochs, steps_per_epoch=steps_per_epoch(task, config))
        sampler = samplers.load(
            config.sampler, space, seed=seed, num_random=config.num_random, horizon=horizon
        )
        with _training_heads(task, supernet) as forward:
            forward_passes = partial(
                supernet_forward_passes,
                supernet,
                forward,
                sampler,
                config,
                largest(space),
                smallest(space),
            )
            Training(
                supernet,
                task,
                config,
                forward_passes,
                seed=seed,
                folder=folder,
                group=group,
                device=device,
                sampler=sampler,
                watch=partial(step_conflict, space, supernet, sampler, task),
                teachers=teachers,
            ).run()
    return supernet


def train_network(
    network: nn.Module,
    task: Task,
    config: TrainConfig,
    *,
    seed: int,
    device: torch.device | None = None,
    folder: Path | None = None,
    group: Group | None = None,
    teachers: Sequence[nn.Module] = (),
) -> None:
    """Trains one network alone, in place: the supernet's budget, schedule, regularisation, labels
    of outside `teachers`, else hard ones.

    With a `folder` it goes on from the newest checkpoint there, as `train_supernet` does, and
    raises what that raises.
    """
    device = device or torch.device("cpu")
    network.to(device).train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_for(seed, "patch head"))
        with _training_heads(task, network) as whole:
            forward = partial(whole, dropout=config.dropout, drop_connect=config.drop_connect)
            forward_passes = [ForwardPass("network", forward)]
            Training(
                network,
                task,
                config,
                lambda step: forward_passes,
                seed=seed,
                folder=folder,
                group=group or SingleProcess(),
                device=device,
                teachers=teachers,
            ).run()


def _training_heads(task: Task, network: nn.Module) -> AbstractContextManager[Forward]:
    return (
        task.training_heads(network) if isinstance(task, HasTrainingHeads) else nullcontext(network)
    )


def fresh_network(space: SearchSpace, architecture: Architecture, seed: int) -> nn.Module:
    """A stand-alone network with weights that depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(seed, "initialisation"))
        return space.build_subnet(None, architecture)


class Training:
    """One training on one rank: module, task, optimizer, and where it stands."""

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        config: TrainConfig,
        forward_passes: ForwardPassesOf,
        *,
        seed: int,
        folder: Path | None,
        group: Group,
        device: torch.device,
        sampler: SubnetSampler | None = None,
        watch: Watch | None = None,
        teachers: Sequence[nn.Module] = (),
    ) -> None:
        """`watch` measures conflict, where the recipe wants that; `teachers` are networks from
        outside.
        """
        self._module = module
        self._config = config
        self._passes = forward_passes
        self._seed = seed
        self._folder = folder
        self._group = group
        self._device = device
        self._sampler = sampler
        self._watch = watch if config.conflict_every_steps and group.rank == 0 else None
        self._sampler_state = sampler.state() if sampler is not None else {}
        self._task = task
        self._steps_per_epoch = steps_per_epoch(task, config)
        self._steps = total_steps(task, config)
        self._batch_size = min(config.batch_size, task.num_examples)
        if self._batch_size < group.world_size:
            raise ValueError(
                f"train.batch_size {self._batch_size} leaves nothing for some of "
                f"{group.world_size} workers: make it larger"
            )
        self._stepper = Stepper(module, config, group, device)
        self._examples = task.open(module, [teacher.to(device) for teacher in teachers])
        self._average = (
            AverageWeights(module, config.average_decay) if config.average_decay else None
        )
        self._metrics_log = MetricsLog(
            folder if group.rank == 0 else None,
            config,
            self._steps,
            self._steps_per_epoch,
            self._batch_size,
        )
        self._initial = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        self._next_step = 0
        self._restarts = 0
        self._restarted_from = 0  # step of the checkpoint that the last restart has loaded

    def run(self) -> None:
        """Trains to the end."""
        self._resume()
        while self._next_step < self._steps:
            step = self._next_step
            losses = self._train_step(step)
            if losses is None:
                self._restart(step)
                continue
            self._next_step = step + 1
            last = self._next_step == self._steps
            self._metrics_log.add(
                step,
                losses,
                learning_rate_at(step, self._config, self._steps_per_epoch),
                self._restarts,
                flush=last,
            )
            if (
                self._folder is not None
                and self._group.rank == 0
                and (last or self._metrics_log.is_checkpoint_due())
            ):
                self._save()
        self._meet()
        if self._average is not None:
            self._module.load_state_dict(self._average.network.state_dict())

    def _train_step(self, step: int) -> list[tuple[str, float]] | None:
        """The losses of each pass by name; None, and no weight changed, where a loss or the gradient is not
        finite.
        """
        moment = self._moment(step)
        torch.manual_seed(moment.seed_of("dropout"))
        batch = self._examples.augment(self._examples.batch(moment).to(self._device), moment)
        if self._watch is not None and step % self._config.conflict_every_steps == 0:
            self._metrics_log.note("conflict", self._watch(step, batch))
        if (
            step % self._steps_per_epoch == 0
            and step < self._config.channel_sorting_epochs * self._steps_per_epoch
        ):
            sort_channels(
                self._module,
                self._stepper.optimizer,
                None if self._average is None else self._average.network,
            )
        if isinstance(self._sampler, samplers.Scores):
            self._sampler.refresh(
                step, partial(subnet_losses, self._module, self._group, self._task, batch)
            )
        forward_passes = self._passes(step)
        losses = self._stepper.gradients(forward_passes, self._task, batch, moment)
        learning_rate = learning_rate_at(step, self._config, self._steps_per_epoch)
        if not (losses.are_finite and self._stepper.step(learning_rate)):
            return None
        if self._average is not None:
            self._average.update(self._module)
        if self._sampler is not None:
            known = [
                (one.architecture, loss)
                for one, loss in zip(forward_passes, losses.totals, strict=True)
                if one.architecture is not None
            ]
            self._sampler.feedback(
                [architecture for architecture, _ in known], [loss for _, loss in known]
            )
        return losses.named([one.name for one in forward_passes])

    def _moment(self, step: int) -> Moment:
        return Moment(
            seed=self._seed,
            step=step,
            steps=self._steps,
            steps_per_epoch=self._steps_per_epoch,
            batch_size=self._batch_size,
            rank=self._group.rank,
            world_size=self._group.world_size,
            restarts=self._restarts,
        )

    def _restart(self, step: int) -> None:
        """Goes back to the last checkpoint, or the beginning, and on with other images.

        A checkpoint from which it has failed once more is given up, and the one before it taken.
        """
        self._restarts += 1
        if self._restarts > _MAX_RESTARTS:
            raise RuntimeError(
                f"training diverged: the loss or its gradient was not finite at step {step + 1}, "
                f"after {_MAX_RESTARTS} restarts; "
                f"lower train.learning-rate (now {self._config.learning_rate:g}) or "
                f"train.clip-norm (now {self._config.clip_norm:g})"
            )
        restarts = self._restarts
        self._resume(given_up=self._restarted_from)
        self._restarted_from = self._next_step
        self._restarts = restarts

    def _meet(self) -> int:
        """Waits for all ranks; the next step of rank 0."""
        value = torch.tensor(
            [float(self._next_step) if self._group.rank == 0 else 0.0], device=self._device
        )
        self._group.add_up(value)
        return int(value.item())

    def _resume(self, given_up: int = 0) -> None:
        """Rank 0 finds the newest whole checkpoint but the one of step `given_up`, then all read
        that one.
        """
        self._next_step = 0
        self._module.load_state_dict(self._initial)
        if self._average is not None:
            self._average.network.load_state_dict(self._initial)
        self._stepper.optimizer.state.clear()
        if self._sampler is not None:
            self._sampler.restore(self._sampler_state)
        if self._folder is None:
            return
        if self._group.rank == 0:
            if given_up:
                checkpoints.give_up(self._folder, given_up)
            found = checkpoints.latest_to_go_on(self._folder)
            self._next_step = found.state["step"] if found else 0
        step = self._meet()
        if step:
            self._load(checkpoints.Checkpoint.at(self._folder, step))
        self._next_step = step
        self._metrics_log.resume(step)

    def _load(self, checkpoint: checkpoints.Checkpoint) -> None:
        for name, mine in (("seed", self._seed), ("steps", self._steps)):
            if checkpoint.state[name] != mine:
                raise ValueError(
                    f"checkpoint {checkpoint.folder} is of another training ({name} "
                    f"{checkpoint.state[name]}, not {mine}): use a new folder"
                )
        weights, tensors = checkpoint.weights(), checkpoint.optimizer()
        if self._average is not None:
            self._average.network.load_state_dict(weights)
            weights = {name: tensors.pop(f"{name}/{_TRAINED}") for name in weights}
        self._module.load_state_dict(weights)
        checkpoints.restore_optimizer(
            self._stepper.optimizer, tensors, dict(self._module.named_parameters())
        )
        self._restarts = checkpoint.state["rng"]["restarts"]
        if self._sampler is not None:
            self._sampler.restore(checkpoint.state["sampler"])

    def _save(self) -> None:
        assert self._folder is not None
        names = {id(parameter): name for name, parameter in self._module.named_parameters()}
        state = {
            "step": self._next_step,
            "steps": self._steps,
            "seed": self._seed,
            "rng": {"seed": self._seed, "step": self._next_step, "restarts": self._restarts},
            "sampler": self._sampler.state() if self._sampler is not None else {},
            "config": vars(self._config),
        }
        tensors = checkpoints.optimizer_tensors(self._stepper.optimizer, names)
        weights = trained = self._module.state_dict()
        if self._average is not None:  # what others read are the averages
            weights = self._average.network.state_dict()
            tensors |= {f"{name}/{_TRAINED}": tensor for name, tensor in trained.items()}
        checkpoints.save(self._folder, weights, tensors, state, keep=self._config.keep_checkpoints)
        self._restarted_from = 0  # the next restart takes this checkpoint first
