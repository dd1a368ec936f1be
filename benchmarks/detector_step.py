"""Step time of a detector's supernet against the sum of its networks trained alone; one JSON line.
Goal: at most 1.10.

    evoray bench detector_step [--space nask_v2:small] [--batch 8] [--rois 24] [--repeats 12]

Forward and backward of both looks of the largest, two drawn and the smallest network on views of
one supernet, with summed gradients and one optimizer step, against the same four as stand-alone
networks of torch's own layers, each with an optimizer step of its own; interleaved, on one thread.
"CPU seconds" are the process's own, so that other work on the machine shows less.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import searchspaces
from searchspaces.base import Architecture, SearchSpace, architectures, largest, smallest


@dataclass(frozen=True)
class Inputs:
    """Images, and where the second part looks.

    Attributes:
        images: (b, 3, side, side).
        regions: (k, 7), see `searchspaces.nask.outputs`.
    """

    images: Tensor
    regions: Tensor

    def rois(self, maps: Tensor) -> Tensor:
        """The regions, whatever the maps."""
        return self.regions


def drawn_inputs(batch: int, num_rois: int, side: int) -> Inputs:
    """Text-like rectangles spread over random images."""
    angle = (torch.rand(num_rois) - 0.5) * math.pi / 2
    columns = [
        torch.arange(num_rois) % batch,
        torch.rand(num_rois) * side,
        torch.rand(num_rois) * side,
        torch.cos(angle),
        torch.sin(angle),
        side * (0.2 + 0.4 * torch.rand(num_rois)),
        side * (0.06 + 0.1 * torch.rand(num_rois)),
    ]
    return Inputs(torch.randn(batch, 3, side, side), torch.stack(columns, dim=1))


def gradients(network: Callable[..., Any], *arguments: Any) -> None:
    """One forward and backward through both looks."""
    found = network(*arguments)
    (found.maps.square().mean() + found.geometry.square().mean()).backward()


def optimizer_of(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(network.parameters(), lr=1e-3, foreach=True)


def drawn_networks(space: SearchSpace, rng: np.random.Generator) -> list[Architecture]:
    """The four of a sandwich."""
    rows = [[rng.integers(len(gene.options)) for gene in space.genes] for _ in range(2)]
    between = architectures(space, np.array(rows, dtype=np.int16))
    return [largest(space), *between, smallest(space)]


def measured(
    supernet: nn.Module, alone: Sequence[nn.Module], chosen: Sequence[Architecture], inputs: Inputs
) -> tuple[float, float]:
    """CPU seconds of one step of the supernet, and of all networks alone."""
    shared = optimizer_of(supernet)
    own = [optimizer_of(network) for network in alone]
    start = time.process_time()
    for architecture in chosen:
        gradients(supernet, inputs, architecture)
    shared.step()
    middle = time.process_time()
    for network, optimizer in zip(alone, own, strict=True):
        gradients(network, inputs)
        optimizer.step()
    end = time.process_time()
    supernet.zero_grad()
    return middle - start, end - middle


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench detector_step")
    parser.add_argument("--space", default="nask_v2:small")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rois", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=12)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    space = searchspaces.load(options.space)
    side = max(int(option) for option in space.genes[0].options)  # "resolution" comes first
    inputs, supernet = drawn_inputs(options.batch, options.rois, side), space.build_supernet()
    ours, theirs = [], []
    for step in range(options.repeats + 2):
        chosen = drawn_networks(space, rng)
        alone = [space.build_subnet(supernet, architecture).train() for architecture in chosen]
        shared, apart = measured(supernet, alone, chosen, inputs)
        if step >= 2:  # the first two warm up
            ours.append(shared)
            theirs.append(apart)
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    quartiles = statistics.quantiles(ratios, n=4)
    line = {
        "benchmark": "detector_step",
        **vars(options),
        "ratio": {
            "median": round(statistics.median(ratios), 4),
            "quartiles": [round(quartiles[0], 4), round(quartiles[2], 4)],
        },
        "supernet_cpu_seconds": round(statistics.median(ours), 4),
        "alone_cpu_seconds": round(statistics.median(theirs), 4),
        "goal": 1.10,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
