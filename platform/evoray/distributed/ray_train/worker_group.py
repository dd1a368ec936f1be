"""Several workers that share gradients: Ray Train's TorchTrainer, run again after lost machines.

Ray Train imports pandas and Ray Data: seconds that a run with one worker, and the first line of any
run, do not wait for.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray.exceptions import RayActorError
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from evoray.distributed.ray_train.lost_workers import mistake_in
from evoray.distributed.tasks import reason


def fit_on_ray(
    worker: Callable[[Mapping[str, Any]], None],
    arguments: Mapping[str, Any],  # Any: whatever the worker takes, what is big as a reference
    *,
    folder: Path,
    num_workers: int | tuple[int, int],
    use_gpu: bool,
    threads_per_worker: int,
    max_failures: int,
) -> None:
    """Runs `worker({**arguments, "threads": ...})` on every worker of a TorchTrainer, which forms
    their process group.

    It is run again, up to `max_failures` times, after workers, nodes or their links were lost.
    Ray's own counter would also repeat what a worker raises by mistake.

    Raises:
        RuntimeError: It failed more often than that, or by a mistake that the next start would
            repeat.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    logging.getLogger("ray.train").setLevel(logging.ERROR)
    # Ray's own bookkeeping of this fit, on storage that every node sees; what must outlive it is in
    # `folder` itself.
    scratch = folder / ".ray"
    last: BaseException | None = None
    try:
        for _ in range(max_failures + 1):
            trainer = _Trainer(
                worker,
                train_loop_config={**arguments, "threads": threads_per_worker},
                scaling_config=_scaling(num_workers, threads_per_worker, use_gpu),
                torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
                run_config=RunConfig(
                    name=f"fit-{time.time_ns()}",
                    storage_path=str(scratch),
                    failure_config=FailureConfig(max_failures=0),
                ),
            )
            try:
                trainer.fit()
                return
            except (ray.train.TrainingFailedError, RayActorError) as error:
                mistake = mistake_in(error)
                if mistake is not None:
                    said = " ".join(str(mistake).split())
                    raise RuntimeError(
                        f"training failed: {type(mistake).__name__}: {said}"
                    ) from error
                last = error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    raise RuntimeError(
        f"training failed more than {max_failures} times; the last error: {reason(last)}"
    ) from last


def own_device() -> torch.device:
    """The device of the worker that asks."""
    device: torch.device = ray.train.torch.get_device()
    return device


def done() -> None:
    """Tells the trainer that the worker which calls this has finished."""
    ray.train.report({"done": True})


class _Trainer(TorchTrainer):  # type: ignore[misc]  # Ray has no types
    """Leaves the program's own handler of SIGINT in place: Ray Train's ends the process without a
    word, with code 1.
    """

    def _register_sigint_handler(self, controller: Any) -> None:  # Any: an actor
        pass


def _scaling(num_workers: int | tuple[int, int], threads: int, use_gpu: bool) -> ScalingConfig:
    resources = {"CPU": threads, "GPU": 1} if use_gpu else {"CPU": threads}
    return ScalingConfig(num_workers=num_workers, use_gpu=use_gpu, resources_per_worker=resources)
