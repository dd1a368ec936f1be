"""Step time of subnets of a supernet: against the same networks alone, and several sharing a batch;
one JSON line.

    evoray bench steps [--spaces elasticvit:digits vit_resnas:digits] [--batch 64] [--repeats 15]

"alone": forward, backward and optimizer step of the largest and of the median subnet (by
multiply-accumulates) on views of the supernet over those of the stand-alone network. Goals: at most
1.05 for the largest and 1.10 for the median. "together", for spaces that offer it: a batch divided
among A subnets over the same batch through one of their size on average, by masks as the authors of
ViT-ResNAS do it and grouped, on slices. All interleaved on one thread; medians of ratios with
quartiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import searchspaces
from benchmarks.parts.image_steps import classification, moment_of
from benchmarks.parts.timing import interleaved, seconds
from evoray import variation
from evoray.training.config import TrainConfig
from evoray.training.process_group import SingleProcess
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.step import ForwardPass, Stepper
from evoray.training.supernet_step import RunsTogether
from evoray.training.tasks.base import Forward
from searchspaces.base import Architecture, SearchSpace, architectures, largest

CONFIG = TrainConfig(optimizer="adamw", learning_rate=1e-4)
SHARING = (1, 2, 4, 8)
SKIPPED = 2  # first repeats, which warm up


def view(supernet: nn.Module, architecture: Architecture) -> Forward:
    """A subnet as the supernet runs it."""
    return lambda images: supernet(images, architecture)


def drawn(space: SearchSpace, count: int) -> list[Architecture]:
    """Uniform subnets, ordered by multiply-accumulates."""
    rows = space.repair(
        variation.sample(variation.GeneKinds.of(space.genes), count, np.random.default_rng(0))
    )
    return architectures(space, rows[np.argsort(space.costs(rows)["macs"], kind="stable")])


def step_of(module: nn.Module, forward: Forward, batch: ImageBatch) -> Callable[[], float]:
    """Times one optimizer step."""
    stepper = Stepper(module, CONFIG, SingleProcess(), torch.device("cpu"))
    task, moment = classification(CONFIG), moment_of(len(batch.labels))

    def work() -> None:
        stepper.gradients([ForwardPass("network", forward)], task, batch, moment)
        stepper.step(1e-4)

    return lambda: seconds(work)


def shared(supernet: RunsTogether, chosen: Sequence[Architecture], *, masked: bool) -> Forward:
    """Several subnets that divide a batch among them; their logits."""
    return lambda images: supernet.forward_together(images, chosen, masked=masked)[0]


def compared(ways: dict[str, Callable[[], float]], over: str, repeats: int) -> dict[str, Any]:
    """[median, lower quartile, upper quartile] of each way's time over another's in the same
    repeat.
    """
    found = {
        name: values[SKIPPED:] for name, values in interleaved(ways, repeats + SKIPPED).items()
    }
    return {
        name: quartiles([a / b for a, b in zip(values, found[over], strict=True)])
        for name, values in found.items()
        if name != over
    }


def quartiles(values: Sequence[float]) -> list[float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return [round(middle, 3), round(low, 3), round(high, 3)]


def alone(space: SearchSpace, batch: ImageBatch, repeats: int) -> dict[str, list[float]]:
    line = {}
    for size, architecture in (("largest", largest(space)), ("median", drawn(space, 501)[250])):
        supernet = space.build_supernet()
        subnet = space.build_subnet(supernet, architecture).train()
        ways = {
            "elastic": step_of(supernet, view(supernet, architecture), batch),
            "stand_alone": step_of(subnet, subnet, batch),
        }
        line[size] = compared(ways, "stand_alone", repeats)["elastic"]
    return line


def together(space: SearchSpace, batch: ImageBatch, repeats: int) -> dict[str, Any]:
    supernet, line = space.build_supernet(), {}
    assert isinstance(supernet, RunsTogether)
    of_each = drawn(space, 501)
    for count in SHARING:
        chosen = of_each[250 - count // 2 : 250 - count // 2 + count]

        ways = {
            "masked": step_of(supernet, shared(supernet, chosen, masked=True), batch),
            "grouped": step_of(supernet, shared(supernet, chosen, masked=False), batch),
            "one": step_of(supernet, view(supernet, of_each[250]), batch),
        }
        line[str(count)] = compared(ways, "one", repeats)
    return line


def equal_gradients(space: SearchSpace, batch: ImageBatch) -> float:
    """Largest difference between a gradient by masks and on slices, relative to the largest
    gradient.
    """
    supernet, chosen = space.build_supernet(), drawn(space, 8)
    assert isinstance(supernet, RunsTogether)
    found = []
    for masked in (True, False):
        supernet.zero_grad(set_to_none=True)
        logits = shared(supernet, chosen, masked=masked)(batch.x_bchw)
        F.cross_entropy(logits, batch.labels).backward()  # type: ignore[no-untyped-call]
        found.append(
            {name: p.grad.clone() for name, p in supernet.named_parameters() if p.grad is not None}
        )
    largest = max(float(g.abs().max()) for g in found[0].values())
    return (
        max(
            float((found[1].get(name, torch.zeros_like(g)) - g).abs().max())
            for name, g in found[0].items()
        )
        / largest
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench steps")
    parser.add_argument("--spaces", nargs="+", default=["elasticvit:digits", "vit_resnas:digits"])
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    line: dict[str, Any] = {
        "benchmark": "steps",
        **vars(options),
        "goals": {"largest": 1.05, "median": 1.10},
    }
    for name in options.spaces:
        space: Any = searchspaces.load(name)  # Any: a space of images, with channels and classes
        x = torch.randn(options.batch, space.in_channels, options.side, options.side)
        batch = ImageBatch(x, torch.arange(options.batch) % space.num_classes)
        line[name] = {"alone": alone(space, batch, options.repeats)}
        if isinstance(space.build_supernet(), RunsTogether):
            line[name]["together_over_one"] = together(space, batch, options.repeats)
            line[name]["largest_difference_of_gradients"] = equal_gradients(space, batch)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
