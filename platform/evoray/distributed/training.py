"""Training on Ray, of a supernet or one network alone: the plain loop of `evoray.training` on one
worker, or on several that share gradients.

A worker alone is a Ray task, not a TorchTrainer, which takes ten seconds and more to form a process
group that one worker does not need. Checkpoints are the loop's own, written by rank 0 to the run
folder, not Ray's: they are renamed into place when they are whole, carry digests and hold no
pickle, so that a half-written or damaged one is found and the one before it used, whoever was
killed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayError, RayTaskError

from evoray.distributed.tasks import reason, run_tasks
from evoray.training import checkpoints
from evoray.training.config import TrainConfig
from evoray.training.loop import fresh_network, total_steps, train_network, train_supernet
from evoray.training.process_group import Group, SingleProcess, TorchGroup
from evoray.training.recipe.teachers import Teacher
from evoray.training.tasks.base import Task
from objectives.base import Needs
from searchspaces.base import Architecture, SearchSpace

Work = Callable[[Mapping[str, Any], Group, torch.device], None]  # of one rank, with its arguments


def train_on_ray(
    space: SearchSpace,
    task: Task,
    config: TrainConfig,
    *,
    seed: int,
    folder: Path,
    num_workers: int | tuple[int, int] = 2,
    use_gpu: bool = False,
    threads_per_worker: int = 1,
    max_failures: int = 3,
    architecture: Architecture | None = None,
    initial: Mapping[str, torch.Tensor] | None = None,
    teachers: Sequence[Teacher] = (),
) -> None:
    """Trains a supernet, or goes on with it, until its last checkpoint is in `folder`; a finished
    one returns at once.

    Args:
        space: Space of the supernet to train.
        task: Task that it learns; each worker opens it.
        config: The recipe; its batch is divided among the workers.
        seed: Seeds all randomness.
        folder: Folder of the checkpoints, seen by every worker.
        num_workers: One worker, data-parallel ones, or (fewest, most) for elastic training.
        use_gpu: Gives each worker a GPU.
        threads_per_worker: Torch threads, and Ray CPUs, of each worker.
        max_failures: Times that the training is started again from its last checkpoint after
            workers, nodes or their links were lost.
        architecture: Trains this network alone, instead of the supernet.
        initial: The state dict that it starts from; None for fresh weights.
        teachers: Networks from outside; each worker loads them.

    Raises:
        RuntimeError: Ray is not initialised, or training failed more often than that, or by a
            mistake.
    """
    check_connected()
    end = total_steps(task, config)
    if last_step(folder) == end:
        return
    arguments = {
        "space": ray.put(space),
        "task": ray.put(task),
        "config": config,
        "seed": seed,
        "folder": str(folder.absolute()),
        "architecture": architecture,
        "teachers": tuple(teachers),
        "initial": None
        if initial is None
        else ray.put({name: tensor.numpy() for name, tensor in initial.items()}),
    }
    train_until(
        end,
        _train,
        arguments,
        folder=folder,
        num_workers=num_workers,
        alone=Needs(cpus=threads_per_worker, gpus=int(use_gpu)),
        threads_per_worker=threads_per_worker,
        max_failures=max_failures,
    )


def train_until(
    end: int,
    work: Work,
    arguments: Mapping[str, Any],  # Any: whatever `work` takes, what is big as a reference
    *,
    folder: Path,
    num_workers: int | tuple[int, int],
    alone: Needs,
    threads_per_worker: int,
    max_failures: int,
) -> None:
    """Runs `work(arguments, group, device)` until `folder` holds the checkpoint of step `end`: as a
    task on one worker, which takes `alone` of its machine, or on several that form a group.

    Raises:
        RuntimeError: It failed more than `max_failures` times, or by a mistake that the next start
            would repeat.
    """
    use_gpu = alone.gpus > 0
    if num_workers in (1, (1, 1)):
        device = "cuda" if use_gpu else "cpu"
        given = {**arguments, "threads": threads_per_worker, "device": device}
        _run_on_one_worker(work, given, takes=alone, max_failures=max_failures)
    else:
        from evoray.distributed.ray_train.worker_group import fit_on_ray  # seconds of imports

        fit_on_ray(
            partial(_train_worker, work),
            arguments,
            folder=folder,
            num_workers=num_workers,
            use_gpu=use_gpu,
            threads_per_worker=threads_per_worker,
            max_failures=max_failures,
        )
    if last_step(folder) < end:
        raise RuntimeError(
            f"the workers wrote no final checkpoint to {folder}: every node of the cluster must "
            "see this folder"
        )


def last_step(folder: Path) -> int:
    """The step of the newest checkpoint; 0 where there is none."""
    newest = checkpoints.latest(folder)
    return int(newest.state["step"]) if newest else 0


def check_connected() -> None:
    """Raises RuntimeError where Ray is not initialised."""
    if not ray.is_initialized():
        raise RuntimeError(
            "Ray is not initialised: enter `evoray.distributed.cluster.connection.cluster()` "
            "before training"
        )


def _run_on_one_worker(
    work: Work, arguments: Mapping[str, Any], *, takes: Needs, max_failures: int
) -> None:
    try:
        list(
            run_tasks(
                _train_alone,
                [(work,)],
                shared=arguments,
                num_cpus=takes.cpus,
                num_gpus=takes.gpus,
                retries=max_failures,
            )
        )
    except RayTaskError as error:
        raise RuntimeError(f"training failed: {reason(error)}") from error
    except RayError as error:
        raise RuntimeError(
            f"training failed more than {max_failures} times; the last error: {reason(error)}"
        ) from error


def _train_alone(arguments: Mapping[str, Any], work: Work) -> None:
    torch.set_num_threads(arguments["threads"])
    work(arguments, SingleProcess(), torch.device(arguments["device"]))


def _train_worker(work: Work, arguments: Mapping[str, Any]) -> None:
    from evoray.distributed.ray_train.worker_group import done, own_device

    torch.set_num_threads(arguments["threads"])
    work(arguments, TorchGroup(), own_device())
    done()


def _train(arguments: Mapping[str, Any], group: Group, device: torch.device) -> None:
    space, task = ray.get(arguments["space"]), ray.get(arguments["task"])
    config, seed, architecture = arguments["config"], arguments["seed"], arguments["architecture"]
    teachers = [teacher.load() for teacher in arguments["teachers"]]
    where: dict[str, Any] = {
        "folder": Path(arguments["folder"]),
        "group": group,
        "device": device,
        "teachers": teachers,
    }
    if architecture is None:
        train_supernet(space, task, config, seed=seed, **where)
    else:
        network = fresh_network(space, architecture, seed)
        if arguments["initial"] is not None:
            network.load_state_dict(
                {name: torch.tensor(array) for name, array in ray.get(arguments["initial"]).items()}
            )
        train_network(network, task, config, seed=seed, **where)
