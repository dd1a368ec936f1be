"""Supernet training by two Ray Train workers of one thread against one process of two threads; one
JSON line, in images/s.

    evoray bench ray_train [--epochs 4]

Both train the digits space with the same recipe and global batch. Images per second are taken from
the training's own metrics_log over the second half of the run, so that starting workers and first
allocations do not count; the start is reported beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

import torch

import searchspaces
from evoray import data
from evoray.distributed.cluster.connection import cluster
from evoray.distributed.training import train_on_ray
from evoray.records.run_folder import RunFolder
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import train_supernet


def steady_rate(run: Path) -> float:
    """Images per second over the second half of the training."""
    lines = RunFolder(run).metrics()
    half = lines[len(lines) // 2]
    return float((lines[-1]["images"] - half["images"]) / (lines[-1]["seconds"] - half["seconds"]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench ray_train")
    parser.add_argument("--epochs", type=float, default=6)
    options = parser.parse_args()
    space, source = searchspaces.load("bignas:digits"), data.load("digits")
    config = TrainConfig(
        epochs=options.epochs, batch_size=64, log_every_steps=4, checkpoint_every_seconds=1e9
    )
    with tempfile.TemporaryDirectory() as folder:
        torch.set_num_threads(2)
        train_supernet(
            space,
            tasks.of(source, config),
            config,
            seed=0,
            folder=Path(folder) / "one" / "supernet",
        )
        start = time.monotonic()
        with cluster(dashboard=False):
            train_on_ray(
                space,
                tasks.of(source, config),
                config,
                seed=0,
                folder=Path(folder) / "two" / "supernet",
                num_workers=2,
            )
        whole = time.monotonic() - start
        one, two = steady_rate(Path(folder) / "one"), steady_rate(Path(folder) / "two")
        trained = RunFolder(Path(folder) / "two").metrics()[-1]["seconds"]
    line = {
        "benchmark": "ray_train",
        "cores": os.cpu_count(),
        "one_process_two_threads_images_per_second": round(one, 1),
        "two_workers_one_thread_images_per_second": round(two, 1),
        "ratio": round(two / one, 3),
        "seconds_to_start_and_stop_cluster_and_workers": round(whole - trained, 1),
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
