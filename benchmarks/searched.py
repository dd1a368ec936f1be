"""A searched transformer against a hand-made one at equal accuracy, in measured milliseconds; one
JSON line.

    evoray bench searched [--job vit_resnas elasticvit] [--seeds 3] [--epochs N]
    EVORAY_DATA=FOLDER evoray bench searched --data cifar10 --images 4000 --epochs 40
    --measured-images 2000

The hand-made network has the middle option of every gene. For each seed: a supernet by the job's
digits preset, a search for accuracy and the latency that a table of operators predicts, and of its
front the fastest network whose inherited accuracy on the validation images is at least the
hand-made one's. Both are then trained alone by one recipe; accuracies are on the test images.
Milliseconds are of one forward pass of one image with one thread, in turns. One process of one
thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import evoray
import searchspaces
from benchmarks.parts.timing import ratios, spread
from evoray import data
from evoray.data.parts.images import with_classes
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import fresh_network, train_network, train_supernet
from evoray.training.recipe.calibration import Calibration
from jobs.pipelines.retraining import alone
from jobs.pipelines.spaces import fitted
from objectives.accuracy import Accuracy
from objectives.base import BuiltCandidate, Candidate
from objectives.latency_table import PredictedLatency
from objectives.latency_table.fitting import fit, sample, times_here
from objectives.latency_table.time_operators import time_networks
from searchspaces.base import Architecture, architectures, largest


def middle(space: Any) -> Architecture:
    """The hand-made network."""
    return architectures(
        space, np.array([[len(gene.options) // 2 for gene in space.genes]], dtype=np.int16)
    )[0]


class Contest:
    """One space on one data set."""

    def __init__(self, job: str, options: dict[str, Any]) -> None:
        preset = importlib.import_module(f"jobs.{job}").digits()
        self.options = options
        self.source = with_classes(
            data.load(options["data"], image_size=options["image_size"], limit=options["images"])
        )
        self.space: Any = fitted(searchspaces.load(preset.space), self.source)
        epochs = options["epochs"] or preset.train.epochs
        self.recipe: TrainConfig = dataclasses.replace(
            preset.train,
            epochs=epochs,
            mirror=options["mirror"],
            conflict_every_steps=0,
            checkpoint_every_seconds=1e9,
        )
        taken = sample(self.space, self.source.image_shape)
        self.table = fit(self.space, taken, times_here(self.space, taken), "here")
        self.reference = middle(self.space)

    def accuracy(self, split: str, seed: int) -> Accuracy:
        calibration = Calibration(
            source=self.source,
            num_images=512,
            seed=seed,
            crop_padding=self.recipe.crop_padding,
            mirror=self.recipe.mirror,
        )
        objective = Accuracy(
            self.source, calibration, split=split, limit=self.options["measured_images"]
        )
        objective.open(torch.device("cpu"))
        return objective

    def run(self, seed: int) -> dict[str, Any]:
        """Supernet, search, both networks alone."""
        with tempfile.TemporaryDirectory() as folder:
            supernet = train_supernet(
                self.space,
                tasks.of(self.source, self.recipe),
                self.recipe,
                seed=seed,
                folder=Path(folder),
            )
        validation = self.accuracy("val", seed)
        wanted = validation.measure(Candidate(self.space, self.reference, supernet))
        predicted = PredictedLatency(self.space, self.table)
        evaluations = self.options["evaluations"]
        found = evoray.search(
            self.space,
            [validation, predicted],
            supernet=supernet,
            evaluations=evaluations,
            seed=seed,
        )
        front = [row for row in found.front().to_pylist() if row["accuracy"] >= wanted]
        chosen = (
            min(front, key=lambda row: row[predicted.name])
            if front
            else found.front().to_pylist()[0]
        )
        searched = Architecture(self.space.name, tuple(chosen["choices"]), chosen["key"])
        test = self.accuracy("test", seed)
        result: dict[str, Any] = {"seed": seed, "reached": bool(front), "validation_wanted": wanted}
        for name, architecture in (("reference", self.reference), ("searched", searched)):
            network = fresh_network(self.space, architecture, seed)
            recipe = alone(self.recipe)
            train_network(network, tasks.of(self.source, recipe), recipe, seed=seed)
            result[name] = {
                "key": architecture.key,
                "inherited": test.measure(Candidate(self.space, architecture, supernet)),
                "alone": test.measure(BuiltCandidate(self.space, architecture, network)),
                "macs": float(
                    self.space.costs(np.array([architecture.choices], dtype=np.int16))["macs"][0]
                ),
            }
        result["milliseconds"] = self.milliseconds([self.reference, searched, largest(self.space)])
        return result

    def milliseconds(self, chosen: list[Architecture]) -> dict[str, float]:
        networks = [self.space.build_subnet(None, architecture).eval() for architecture in chosen]
        seconds = time_networks(networks, torch.randn(1, *self.source.image_shape))
        return {
            name: 1e3 * s
            for name, s in zip(("reference", "searched", "largest"), seconds, strict=True)
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench searched")
    parser.add_argument("--job", nargs="+", default=["vit_resnas", "elasticvit"])
    parser.add_argument("--data", default="digits")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=None, help="for training; all without it")
    parser.add_argument(
        "--measured-images",
        type=int,
        default=None,
        help="of test and validation data; all without it",
    )
    parser.add_argument("--mirror", action="store_true")
    parser.add_argument(
        "--epochs", type=float, default=None, help="of every training; the preset's without it"
    )
    parser.add_argument("--evaluations", type=int, default=160)
    parser.add_argument("--seeds", type=int, default=3)
    options = vars(parser.parse_args())
    torch.set_num_threads(1)
    line: dict[str, Any] = {"benchmark": "searched", **options}
    for job in options["job"]:
        contest = Contest(job, options)
        done = []
        for seed in range(options["seeds"]):
            done.append(contest.run(seed))
            print(json.dumps({"job": job, **done[-1]}), file=sys.stderr)
        line[job] = {
            "held_out": {name: round(value, 3) for name, value in contest.table.held_out.items()},
            "speedup": ratios(
                [d["milliseconds"]["reference"] for d in done],
                [d["milliseconds"]["searched"] for d in done],
            ),
            **{
                f"{name}_{what}": spread([d[name][what] for d in done])
                for name in ("reference", "searched")
                for what in ("inherited", "alone")
            },
            "milliseconds": {
                n: spread([d["milliseconds"][n] for d in done], 3)
                for n in ("reference", "searched", "largest")
            },
            "points_alone": spread(
                [d["searched"]["alone"] - d["reference"]["alone"] for d in done]
            ),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
