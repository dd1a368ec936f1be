"""Supernet training on real Ray workers, one and several: resumable after kill -9, equal to an
uninterrupted one.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("ray")

import searchspaces
from benchmarks.parts.processes import workers
from evoray import data
from evoray.distributed.ray_train.worker_group import fit_on_ray
from evoray.distributed.training import train_on_ray
from evoray.training import checkpoints, tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import fresh_network, train_network
from evoray.training.process_group import TorchGroup
from searchspaces.base import smallest

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

SPACE: Any = dataclasses.replace(searchspaces.load("bignas:digits"), resolutions=(16,))  # type: ignore[type-var]
SOURCE = data.load("digits", limit=240, image_size=16)
CONFIG = TrainConfig(
    epochs=8.0, batch_size=24, learning_rate=0.05, checkpoint_every_seconds=0.0, log_every_steps=1
)

TASK = tasks.of(SOURCE, CONFIG)


def trained(folder: Path, **options: Any) -> dict[str, torch.Tensor]:
    train_on_ray(SPACE, TASK, CONFIG, seed=1, folder=folder, num_workers=2, **options)
    return checkpoints.load_weights(folder)[0]


def kill_when_saved(folder: Path, title: str, killed: list[int]) -> None:
    """Kills the newest worker of that title once the training has a checkpoint; in the
    background.
    """

    def kill_one() -> None:
        for _ in range(5000):
            if len(list(folder.glob("step-*"))) and (found := workers(title)):
                killed.append(found[-1])
                os.kill(found[-1], signal.SIGKILL)
                return
            time.sleep(0.02)

    threading.Thread(target=kill_one, daemon=True).start()


def test_a_killed_worker_changes_nothing_and_a_finished_training_returns_at_once(
    local_ray: None, tmp_path: Path
) -> None:
    expected = trained(tmp_path / "whole")
    killed: list[int] = []
    kill_when_saved(tmp_path / "cut", "RayTrainWorker", killed)
    weights = trained(tmp_path / "cut")
    assert killed, "no worker was killed: training was too quick for the test"
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert not (tmp_path / "cut" / ".ray").exists()
    start = time.monotonic()
    trained(tmp_path / "cut")
    assert time.monotonic() - start < 2


def test_one_worker_is_a_task_that_goes_on_after_it_was_killed(
    local_ray: None, tmp_path: Path
) -> None:
    train_on_ray(SPACE, TASK, CONFIG, seed=1, folder=tmp_path / "whole", num_workers=1)
    killed: list[int] = []
    kill_when_saved(tmp_path / "cut", "ray::_train_alone", killed)
    train_on_ray(SPACE, TASK, CONFIG, seed=1, folder=tmp_path / "cut", num_workers=1)
    assert killed, "no worker was killed: training was too quick for the test"
    expected, weights = (checkpoints.load_weights(tmp_path / name)[0] for name in ("whole", "cut"))
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_one_worker_that_fails_too_often_stops_with_the_reason(
    local_ray: None, tmp_path: Path
) -> None:
    killed: list[int] = []
    kill_when_saved(tmp_path, "ray::_train_alone", killed)
    with pytest.raises(RuntimeError, match="failed more than 0 times"):
        train_on_ray(SPACE, TASK, CONFIG, seed=1, folder=tmp_path, num_workers=1, max_failures=0)
    with pytest.raises(
        RuntimeError, match=r"training failed: .*is of another training \(seed 1, not 2\)"
    ):
        train_on_ray(SPACE, TASK, CONFIG, seed=2, folder=tmp_path, num_workers=1)


@dataclasses.dataclass(frozen=True)
class Lacking:
    """Data whose files the workers do not find, though their number is known where the training is
    started; each worker's look for them is a line in `log`.
    """

    log: Path
    starter: int
    name = "lacking"
    num_classes = 10
    image_shape = (1, 16, 16)

    def open(self, split: str) -> Any:
        if os.getpid() == self.starter:
            return range(64)
        noted(self.log)
        raise FileNotFoundError(f"no pictures of split {split}")


def noted(log: Path) -> None:
    with log.open("a", encoding="utf-8") as out:
        out.write("once\n")


def times(log: Path) -> int:
    return len(log.read_text(encoding="utf-8").splitlines())


def mistaken(arguments: Mapping[str, Any]) -> None:
    """A worker whose first rank makes a mistake while the other waits for it."""
    group = TorchGroup()
    if group.rank == 0:
        noted(Path(arguments["log"]))
        raise KeyError("no such gene")
    group.add_up(torch.zeros(1))


def test_a_mistake_inside_workers_is_raised_after_one_attempt(
    local_ray: None, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with pytest.raises(
        RuntimeError, match="training failed: FileNotFoundError: no pictures of split train"
    ):
        train_on_ray(
            SPACE,
            tasks.of(Lacking(log, os.getpid()), CONFIG),
            CONFIG,
            seed=1,
            folder=tmp_path,
            num_workers=2,
        )
    assert times(log) <= 2, "each of two workers looks once"


def test_a_mistake_of_one_worker_is_told_and_not_that_another_lost_it(
    local_ray: None, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    options: dict[str, Any] = {
        "num_workers": 2,
        "use_gpu": False,
        "threads_per_worker": 1,
        "max_failures": 3,
    }
    with pytest.raises(RuntimeError, match="training failed: KeyError: 'no such gene'"):
        fit_on_ray(mistaken, {"log": str(log)}, folder=tmp_path, **options)
    assert times(log) == 1


def test_a_network_alone_ends_with_the_weights_that_one_process_gives_it(
    local_ray: None, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, epochs=1.0)
    train_on_ray(
        SPACE, TASK, config, seed=1, folder=tmp_path, num_workers=1, architecture=smallest(SPACE)
    )
    network = fresh_network(SPACE, smallest(SPACE), 1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train_network(network, TASK, config, seed=1)
    torch.set_num_threads(threads)
    weights = checkpoints.load_weights(tmp_path)[0]
    assert all(torch.equal(weights[name], tensor) for name, tensor in network.state_dict().items())


def test_an_elastic_training_starts_with_the_workers_there_are(
    local_ray: None, tmp_path: Path
) -> None:
    train_on_ray(
        SPACE,
        TASK,
        dataclasses.replace(CONFIG, epochs=1.0),
        seed=1,
        folder=tmp_path,
        num_workers=(1, 4),
    )
    assert checkpoints.latest(tmp_path) is not None


def test_without_a_cluster_it_says_what_to_do(tmp_path: Path) -> None:
    import ray

    ray.shutdown()
    with pytest.raises(RuntimeError, match="Ray is not initialised"):
        trained(tmp_path)
