"""BigNAS's claim at small scale on CIFAR-10: sliced subnets without retraining against the same
networks trained alone; one JSON line.

    EVORAY_DATA=FOLDER evoray bench bignas_claim [--seeds 3] [--images 5000] [--epochs 15] [--space
    bignas:digits]

For each seed: a supernet by the full recipe, one without zero-gamma, one without in-place
distillation, and three networks (smallest, middle, largest) trained alone with the supernet's
epochs, schedule and regularisation. Accuracy on the 10,000 test images, batch norm recalibrated
everywhere. Two processes of one thread each.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

import searchspaces
from evoray import data
from evoray.data.parts.images import with_classes
from evoray.seeds import seed_for
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import train_network, train_supernet
from evoray.training.recipe.calibration import Calibration
from objectives.accuracy import Accuracy
from objectives.base import BuiltCandidate, Candidate
from searchspaces.base import Architecture, architectures, largest, smallest

SUPERNETS = ("full", "without_zero_gamma", "without_distillation")


def networks(space: Any) -> dict[str, Architecture]:
    """Smallest, middle (every gene's middle option) and largest."""
    middle = np.array([[(len(g.options) - 1) // 2 for g in space.genes]], dtype=np.int16)
    return {
        "smallest": smallest(space),
        "middle": architectures(space, middle)[0],
        "largest": largest(space),
    }


def piece(options: dict[str, Any], variant: str, seed: int) -> dict[str, Any]:
    """One supernet, or one network alone; accuracies in percent by network."""
    torch.set_num_threads(1)
    source = with_classes(data.load("cifar10", limit=options["images"]))
    space: Any = dataclasses.replace(
        searchspaces.load(options["space"]), num_classes=10, in_channels=3
    )  # type: ignore[type-var]
    if variant == "without_zero_gamma":
        space = dataclasses.replace(space, zero_gamma=False)
    config = TrainConfig(
        epochs=options["epochs"],
        batch_size=64,
        learning_rate=options["learning_rate"],
        mirror=True,
        crop_padding=4,
        distillation=variant != "without_distillation",
        checkpoint_every_seconds=1e9,
    )
    calibration = Calibration(
        source=source, num_images=2048, seed=seed, crop_padding=4, mirror=True
    )
    objective = Accuracy(source, calibration, split="test")
    objective.open(torch.device("cpu"))
    start = time.monotonic()
    if variant in SUPERNETS:
        with tempfile.TemporaryDirectory() as folder:
            supernet = train_supernet(
                space, tasks.of(source, config), config, seed=seed, folder=Path(folder)
            )
        seconds = time.monotonic() - start
        measured = {
            name: objective.measure(Candidate(space, a, supernet))
            for name, a in networks(space).items()
        }
    else:
        torch.manual_seed(seed_for(seed, "initialisation"))
        architecture = networks(space)[variant]
        network = space.build_subnet(None, architecture)
        train_network(network, tasks.of(source, config), config, seed=seed)
        seconds = time.monotonic() - start
        measured = {variant: objective.measure(BuiltCandidate(space, architecture, network))}
    return {"variant": variant, "seed": seed, "accuracy": measured, "seconds": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench bignas_claim")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--epochs", type=float, default=15)
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--space", default="bignas:digits")
    parser.add_argument(
        "--log",
        type=Path,
        default=None,
        help="a file that gets a JSON line for every finished piece",
    )
    options = vars(parser.parse_args())
    log = options.pop("log")
    work = [
        (variant, seed)
        for seed in range(options["seeds"])
        for variant in (*SUPERNETS, "largest", "middle", "smallest")
    ]
    with ProcessPoolExecutor(2) as pool:
        futures = [pool.submit(piece, options, variant, seed) for variant, seed in work]
        done = []
        for future in futures:
            done.append(future.result())
            if log is not None:
                with log.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(done[-1]) + "\n")
    names = ("smallest", "middle", "largest")
    alone = {name: [d["accuracy"][name] for d in done if d["variant"] == name] for name in names}
    line: dict[str, Any] = {
        "benchmark": "bignas_claim",
        **options,
        "alone": {n: _spread(v) for n, v in alone.items()},
    }
    for variant in SUPERNETS:
        sliced = {
            name: [d["accuracy"][name] for d in done if d["variant"] == variant] for name in names
        }
        line[variant] = {name: _spread(values) for name, values in sliced.items()}
        gaps = {
            name: [a - b for a, b in zip(sliced[name], alone[name], strict=True)] for name in names
        }
        line[f"{variant}_minus_alone"] = {name: _spread(values) for name, values in gaps.items()}
    print(json.dumps(line))


def _spread(values: list[float]) -> list[float]:
    """[mean, smallest, largest]."""
    return [round(v, 2) for v in (statistics.mean(values), min(values), max(values))]


if __name__ == "__main__":
    main()
