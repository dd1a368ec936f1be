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
from typing import Any

import torch
from torch import nn

from evoray.seeds import seed_for
from evoray.training import checkpoints, samplers
from evoray.training.config import TrainConfig
from evoray.training.gradient_conflict import step_conflict
from evoray.training.metrics_log import Length
from evoray.training.process_group import Group, SingleProcess
from evoray.training.recipe.averaging import moving_average
from evoray.training.recipe.channel_sorting import sort_channels
from evoray.training.recipe.schedules import learning_rate_at
from evoray.training.resumable_loop import ResumableLoop, StepReport
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
    """The `Learner` of a module and a task: optimizer, sampler, and average where there is one."""

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
        self._task = task
        self._config = config
        self._passes = forward_passes
        self._seed = seed
        self._group = group
        self._device = device
        self._sampler = sampler
        self._watch = watch if config.conflict_every_steps and group.rank == 0 else None
        self._sampler_state = sampler.state() if sampler is not None else {}
        self._length = Length(
            steps=total_steps(task, config),
            steps_per_epoch=steps_per_epoch(task, config),
            batch_size=min(config.batch_size, task.num_examples),
        )
        if self._length.batch_size < group.world_size:
            raise ValueError(
                f"train.batch_size {self._length.batch_size} leaves nothing for some of "
                f"{group.world_size} workers: make it larger"
            )
        self._stepper = Stepper(module, config, group, device)
        self._examples = task.open(module, [teacher.to(device) for teacher in teachers])
        self._average = (
            moving_average(module, config.average_decay) if config.average_decay else None
        )
        self._initial = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        self._loop = ResumableLoop(
            self, self._length, config, seed=seed, folder=folder, group=group, device=device
        )

    def run(self) -> None:
        """Trains to the end; the module then has the weights that a checkpoint holds."""
        self._loop.run()
        if self._average is not None:
            self._module.load_state_dict(self._average.module.state_dict())

    def train(self, step: int, restarts: int) -> StepReport | None:
        """The losses of each pass by name; None, and no weight changed, where a loss or the
        gradient is not finite.
        """
        moment = self._moment(step, restarts)
        torch.manual_seed(moment.seed_of("dropout"))
        batch = self._examples.augment(self._examples.batch(moment).to(self._device), moment)
        notes = {}
        if self._watch is not None and step % self._config.conflict_every_steps == 0:
            notes["conflict"] = self._watch(step, batch)
        per_epoch = self._length.steps_per_epoch
        if step % per_epoch == 0 and step < self._config.channel_sorting_epochs * per_epoch:
            sort_channels(
                self._module,
                self._stepper.optimizer,
                None if self._average is None else self._average.module,
            )
        if isinstance(self._sampler, samplers.Scores):
            self._sampler.refresh(
                step, partial(subnet_losses, self._module, self._group, self._task, batch)
            )
        forward_passes = self._passes(step)
        losses = self._stepper.gradients(forward_passes, self._task, batch, moment)
        learning_rate = learning_rate_at(step, self._config, per_epoch)
        if not (losses.are_finite and self._stepper.step(learning_rate)):
            return None
        if self._average is not None:
            self._average.update_parameters(self._module)
        if self._sampler is not None:
            known = [
                (one.architecture, loss)
                for one, loss in zip(forward_passes, losses.totals, strict=True)
                if one.architecture is not None
            ]
            self._sampler.feedback(
                [architecture for architecture, _ in known], [loss for _, loss in known]
            )
        return StepReport(losses.named([one.name for one in forward_passes]), learning_rate, notes)

    def begin(self) -> None:
        self._module.load_state_dict(self._initial)
        if self._average is not None:
            self._average.module.load_state_dict(self._initial)
        self._stepper.optimizer.state.clear()
        if self._sampler is not None:
            self._sampler.restore(self._sampler_state)

    @property
    def advice(self) -> str:
        return (
            f"lower train.learning-rate (now {self._config.learning_rate:g}) or "
            f"train.clip-norm (now {self._config.clip_norm:g})"
        )

    def weights(self) -> dict[str, torch.Tensor]:
        """The averages where there are such, as others read them."""
        kept = self._module if self._average is None else self._average.module
        return kept.state_dict()

    def optimizer(self) -> dict[str, torch.Tensor]:
        """Tensors of the optimizer, with the weights as they are trained where the checkpoint's are
        averages.
        """
        names = {id(parameter): name for name, parameter in self._module.named_parameters()}
        tensors = checkpoints.optimizer_tensors(self._stepper.optimizer, names)
        if self._average is not None:
            trained = self._module.state_dict()
            tensors |= {f"{name}/{_TRAINED}": tensor for name, tensor in trained.items()}
        return tensors

    def state(self) -> dict[str, Any]:
        return {
            "sampler": self._sampler.state() if self._sampler is not None else {},
            "config": vars(self._config),
        }

    def load(self, checkpoint: checkpoints.Checkpoint) -> None:
        weights, tensors = checkpoint.weights(), checkpoint.optimizer()
        if self._average is not None:
            self._average.module.load_state_dict(weights)
            weights = {name: tensors.pop(f"{name}/{_TRAINED}") for name in weights}
        self._module.load_state_dict(weights)
        checkpoints.restore_optimizer(
            self._stepper.optimizer, tensors, dict(self._module.named_parameters())
        )
        if self._sampler is not None:
            self._sampler.restore(checkpoint.state["sampler"])

    def _moment(self, step: int, restarts: int) -> Moment:
        return Moment(
            seed=self._seed,
            step=step,
            steps=self._length.steps,
            steps_per_epoch=self._length.steps_per_epoch,
            batch_size=self._length.batch_size,
            rank=self._group.rank,
            world_size=self._group.world_size,
            restarts=restarts,
        )
