"""A stage of EAGAN on Ray: one worker, several that share gradients, or several that share the
pairs of stage 2.

A worker alone is a Ray task, not a TorchTrainer: there is no process group to form, which would
take ten seconds in every round. Whatever dies is started again from the newest checkpoint in the
stage's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
import torch

from evoray.distributed.tasks import run_tasks
from evoray.distributed.training import check_connected, last_step, train_until
from evoray.training import checkpoints
from evoray.training.gan.images import RealImages
from evoray.training.gan.parameter_averaging import merged
from evoray.training.gan.rounds import Calendar, Round, RoundPart
from evoray.training.gan.stage import Stage
from evoray.training.gan.training import StageTraining, report, train_round_part
from evoray.training.metrics_log import MetricsLog
from evoray.training.process_group import Group
from evoray.training.resumable_loop import write_checkpoint
from objectives.base import Needs


def train_stage_on_ray(
    stage: Stage,
    rounds: Sequence[Round],
    *,
    folder: Path,
    num_workers: int = 1,
    takes: Needs | None = None,
    max_failures: int = 3,
) -> None:
    """Trains to the end of the last of `rounds`, data-parallel where there are several workers;
    returns at once where that is done.

    `takes` is what a worker alone takes of its machine, and whether it uses a GPU; of several each
    has a core, and a GPU if so.

    Raises:
        RuntimeError: Ray is not initialised, or training failed more often than that, or by a
            mistake.
    """
    check_connected()
    folder, end = folder.absolute(), calendar_of(stage).start(len(rounds))
    if last_step(folder) >= end:
        return
    train_until(
        end,
        _train,
        {"stage": ray.put(stage), "rounds": list(rounds), "folder": str(folder)},
        folder=folder,
        num_workers=num_workers,
        alone=takes or Needs(),
        threads_per_worker=1,
        max_failures=max_failures,
    )


def train_pairs_on_ray(
    stage: Stage,
    rounds: Sequence[Round],
    *,
    folder: Path,
    num_workers: int,
    every_steps: int = 0,
    takes: Needs | None = None,
    max_failures: int = 3,
) -> None:
    """Stage 2 by parameter averaging: each worker trains its pairs on its own discriminator
    weights, averaged after `every_steps`.

    The warm-up, which has one generator, runs on one worker. `every_steps` 0 averages at the end of
    each round.
    """
    takes, folder, calendar = takes or Needs(), folder.absolute(), calendar_of(stage)
    train_stage_on_ray(stage, [], folder=folder, takes=takes, max_failures=max_failures)
    metrics_log = MetricsLog(folder, stage.config, calendar.length)
    metrics_log.resume(last_step(folder))
    end = calendar.start(len(rounds))
    while (step := last_step(folder)) < end:
        round_end = calendar.start(calendar.round_of(step) + 1)
        until = min(round_end, step + every_steps) if every_steps else round_end
        arguments = [
            (list(rounds), str(folder), takes.gpus > 0, RoundPart(index, num_workers), until)
            for index in range(num_workers)
        ]
        found = list(
            run_tasks(
                train_round_part,
                arguments,
                shared=stage,
                num_cpus=takes.cpus,
                num_gpus=takes.gpus,
                retries=max_failures,
            )
        )
        found.sort(key=lambda share: int(share["index"]))
        _save_merged(stage, calendar, folder, until, found)
        losses = [loss for share in found for loss in share["losses"]]
        for number in range(step, until):
            done = report(losses[number - step], stage.config.gan)
            last = number + 1 == until
            metrics_log.add(number, done.losses, done.learning_rate, 0, flush=last)


def calendar_of(stage: Stage) -> Calendar:
    """Computes from the data's size which step of the stage is in which round."""
    return Calendar.of(
        stage.config,
        RealImages(stage.source, stage.config.gan.discriminator_batch, seed=stage.seed),
    )


def _save_merged(
    stage: Stage, calendar: Calendar, folder: Path, step: int, found: Sequence[Mapping[str, Any]]
) -> None:
    before = checkpoints.latest(folder)
    old: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]] = (
        ({}, {}) if before is None else (before.weights(), before.optimizer())
    )
    seen = [] if before is None else before.state["collapses"]
    new = [c for share in found for c in share["collapses"][len(seen) :]]
    weights = merged(old[0], [share["weights"] for share in found])
    moments = merged(old[1], [share["optimizer"] for share in found])
    write_checkpoint(
        folder,
        step,
        weights,
        moments,
        {"collapses": [*seen, *new]},
        seed=stage.seed,
        length=calendar.length,
        options=stage.config,
    )


def _train(arguments: Mapping[str, Any], group: Group, device: torch.device) -> None:
    StageTraining(
        ray.get(arguments["stage"]),
        arguments["rounds"],
        folder=Path(arguments["folder"]),
        group=group,
        device=device,
    ).run()
