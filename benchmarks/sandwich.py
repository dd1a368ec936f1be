"""Step time of the sandwich rule against the sum of its four networks trained alone; one JSON line.
Goal: at most 1.05.

    evoray bench sandwich [--space bignas:digits] [--batch 64] [--repeats 20]

Forward and backward of largest, two random and smallest on views of one supernet, with summed
gradients, against the same four as stand-alone networks of torch's own layers, each with one
optimizer step of its own; interleaved, on one thread, median of the ratios.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from typing import Any

import torch

import searchspaces
from benchmarks.parts.image_steps import classification, moment_of
from evoray.training import samplers
from evoray.training.config import TrainConfig
from evoray.training.process_group import SingleProcess
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.step import ForwardPass, Stepper
from evoray.training.supernet_step import supernet_forward_passes
from searchspaces.base import largest, smallest


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench sandwich")
    parser.add_argument("--space", default="bignas:digits")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space: Any = dataclasses.replace(searchspaces.load(options.space), in_channels=3)  # type: ignore[type-var]
    side = max(space.genes[0].options)
    batch = ImageBatch(
        torch.randn(options.batch, 3, side, side), torch.randint(0, 10, (options.batch,))
    )
    config, device = TrainConfig(batch_size=options.batch), torch.device("cpu")
    learned = (classification(config), batch, moment_of(options.batch))
    supernet = space.build_supernet()
    stepper = Stepper(supernet, config, SingleProcess(), device)
    sampler = samplers.load("sandwich", space, seed=0, num_random=2)
    ratios, ours, theirs = [], [], []
    for step in range(options.repeats + 2):
        forward_passes = supernet_forward_passes(
            supernet, supernet, sampler, config, largest(space), smallest(space), step
        )
        alone = [space.build_subnet(supernet, a).train() for a in sampler.sample(step)]
        steppers = [Stepper(network, config, SingleProcess(), device) for network in alone]
        start = time.perf_counter()
        stepper.gradients(forward_passes, *learned)
        stepper.step(0.01)
        middle = time.perf_counter()
        for network, one in zip(alone, steppers, strict=True):
            one.gradients([ForwardPass("network", network)], *learned)
            one.step(0.01)
        end = time.perf_counter()
        if step >= 2:  # the first two warm up
            ours.append(middle - start)
            theirs.append(end - middle)
            ratios.append(ours[-1] / theirs[-1])
    quartiles = statistics.quantiles(ratios, n=4)
    line = {
        "benchmark": "sandwich",
        **vars(options),
        "ratio": {
            "median": round(statistics.median(ratios), 4),
            "quartiles": [round(quartiles[0], 4), round(quartiles[2], 4)],
        },
        "sandwich_seconds": round(statistics.median(ours), 4),
        "alone_seconds": round(statistics.median(theirs), 4),
        "goal": 1.05,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
