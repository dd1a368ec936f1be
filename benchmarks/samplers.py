"""Supernets trained with different subnet samplers at an equal budget: accuracy by size, and
gradient conflict; one JSON line.

    evoray bench samplers [--space elasticvit:digits]
        [--samplers uniform:4 sandwich:2 complexity_aware:3 performance_aware:3]
    evoray bench samplers --space vit_resnas:digits --epochs 60
        --samplers uniform:1 multi_architecture:8
    EVORAY_DATA=FOLDER evoray bench samplers --data cifar10 --images 5000 --mirror
        --measured-images 2000

SAMPLER:N draws N random subnets a step. The defaults train four subnets a step each, ElasticViT's
claim (arXiv:2303.09730); the second line is ViT-ResNAS's (arXiv:2109.00642), where several subnets
share the images of one; the third takes harder data. Measured on the test images: the smallest and
the largest subnet, the mean of `--networks` subnets near each of three quantiles of the
multiply-accumulates, and of those the one that is best on the validation images. Conflict is the
mean cosine between gradients of subnets of a step and of neighbouring steps, by quarters of the
training. One process of one thread for each of `--processes`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

import searchspaces
from benchmarks.parts.timing import spread
from evoray import data, variation
from evoray.data.parts.images import with_classes
from evoray.seeds import generator_for
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import total_steps, train_supernet
from evoray.training.recipe.calibration import Calibration
from jobs.pipelines.spaces import fitted
from objectives.accuracy import Accuracy
from objectives.base import Candidate
from searchspaces.base import Architecture, architectures, largest, smallest

QUANTILES = (0.1, 0.5, 0.9)
CONFLICTS = 24  # measurements over a training


def networks(space: Any, count: int) -> dict[str, list[Architecture]]:
    """The smallest, the largest, and `count` with costs next to each quantile; the same for every
    sampler and seed.
    """
    rows = space.repair(
        variation.sample(
            variation.GeneKinds.of(space.genes), 4000, generator_for(0, "bench samplers")
        )
    )
    macs = space.costs(rows)["macs"]
    order = np.argsort(macs, kind="stable")
    found = {"smallest": [smallest(space)]}
    for quantile in QUANTILES:
        middle = int(quantile * len(order))
        found[f"at_{quantile:g}"] = architectures(
            space, rows[order[middle - count // 2 : middle - count // 2 + count]]
        )
    found["largest"] = [largest(space)]
    return found


def piece(options: dict[str, Any], sampler: str, seed: int) -> dict[str, Any]:
    """One supernet; accuracies in percent."""
    torch.set_num_threads(1)
    name, _, num_random = sampler.partition(":")
    source = with_classes(
        data.load(options["data"], image_size=options["image_size"], limit=options["images"])
    )
    space: Any = fitted(searchspaces.load(options["space"]), source)
    config = TrainConfig(
        epochs=options["epochs"],
        batch_size=options["batch_size"],
        sampler=name,
        num_random=int(num_random),
        divergence="adaptive",
        optimizer="adamw",
        learning_rate=options["learning_rate"],
        schedule="cosine",
        floor=0.01,
        weight_decay=0.05,
        dropout=0.0,
        drop_connect=0.0,
        clip_norm=0.0,
        adaptive_clip=0.1,
        mirror=options["mirror"],
        checkpoint_every_seconds=1e9,
        log_every_steps=1,
    )
    config = dataclasses.replace(
        config,
        conflict_every_steps=max(1, total_steps(tasks.of(source, config), config) // CONFLICTS),
    )
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        supernet = train_supernet(
            space, tasks.of(source, config), config, seed=seed, folder=Path(folder)
        )
        lines = [
            json.loads(line)
            for line in (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        ]
    seconds = time.monotonic() - start
    calibration = Calibration(
        source=source,
        num_images=512,
        seed=seed,
        crop_padding=config.crop_padding,
        mirror=config.mirror,
    )
    test, validation = (
        Accuracy(source, calibration, split=split, limit=options["measured_images"])
        for split in ("test", "val")
    )
    for objective in (test, validation):
        objective.open(torch.device("cpu"))
    accuracy: dict[str, float] = {}
    for size, of_size in networks(space, options["networks"]).items():
        measured = [test.measure(Candidate(space, a, supernet)) for a in of_size]
        accuracy[size] = float(np.mean(measured))
        if len(of_size) > 1:
            validated = [validation.measure(Candidate(space, a, supernet)) for a in of_size]
            accuracy[f"best_{size}"] = measured[int(np.argmax(validated))]
    conflicts = [line["conflict"] for line in lines if "conflict" in line]
    quarters = [
        {
            kind: round(float(np.mean([c[kind] for c in part if kind in c])), 4)
            for kind in ("within", "between")
            if any(kind in c for c in part)
        }
        for part in np.array_split(np.array(conflicts, dtype=object), 4)
    ]
    return {
        "sampler": sampler,
        "seed": seed,
        "accuracy": accuracy,
        "conflict": quarters,
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench samplers")
    parser.add_argument("--space", default="elasticvit:digits")
    parser.add_argument(
        "--samplers",
        nargs="+",
        default=["uniform:4", "sandwich:2", "complexity_aware:3", "performance_aware:3"],
    )
    parser.add_argument("--data", default="digits")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=None)
    parser.add_argument(
        "--measured-images",
        type=int,
        default=None,
        help="of test and validation data; all without it",
    )
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--log",
        type=Path,
        default=None,
        help="a file that gets a JSON line for every finished piece",
    )
    options = vars(parser.parse_args())
    log, processes = options.pop("log"), options.pop("processes")
    done = []
    with ProcessPoolExecutor(processes) as pool:
        work = [
            pool.submit(piece, options, sampler, seed)
            for seed in range(options["seeds"])
            for sampler in options["samplers"]
        ]
        for future in work:
            done.append(future.result())
            if log is not None:
                with log.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(done[-1]) + "\n")
    line: dict[str, Any] = {"benchmark": "samplers", **options}
    for sampler in options["samplers"]:
        own = [d for d in done if d["sampler"] == sampler]
        line[sampler] = {
            "accuracy": {
                size: spread([d["accuracy"][size] for d in own], 2) for size in own[0]["accuracy"]
            },
            "conflict_by_quarter": [
                {
                    kind: round(float(np.mean([d["conflict"][quarter][kind] for d in own])), 3)
                    for kind in own[0]["conflict"][quarter]
                }
                for quarter in range(4)
            ],
            "seconds": spread([d["seconds"] for d in own], 0),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
