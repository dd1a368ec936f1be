"""Drawing subnets in a complexity window: vectorised against a Python rejection loop; one JSON
line. Goal: 1,000 times as fast.

    evoray bench windows [--levels 0 3 7] [--count 2000]

The loop draws one gene after the other with `random`, draws a width below the stage before it
again, writes the network out, adds up its cost, and starts again where that lies outside; it is
given the time for `--draws` draws and its rate multiplied by the share that lies inside. The space
is ElasticViT's. Both at one thread.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.parts.timing import interleaved, ratios, spread
from evoray.training.samplers.parts.complexity_levels import (
    ComplexityLevelDraws,
    describe_levels,
    levels_of,
)
from searchspaces.base import Architecture, ComplexityLevels
from searchspaces.elasticvit import ElasticViT, build
from searchspaces.elasticvit.costs import (
    Costs,
    added,
    block_costs,
    first_costs,
    head_costs,
    layer_costs,
)
from searchspaces.elasticvit.plan import Plan

REPEATS = 5


def cost_of(plan: Plan) -> Costs:
    """A network's costs, block by block."""
    side = -(-plan.resolution // plan.first_stride)
    parts = [first_costs(plan.in_channels, plan.first_width, side)]
    for stage in plan.conv_stages:
        for shape in stage:
            after = -(-side // shape.stride)
            parts.append(block_costs(shape, side, after, leads_in=False))
            side = after
    for blocks in plan.transformer_stages:
        after = -(-side // blocks.reduction.stride)
        parts.append(block_costs(blocks.reduction, side, after, leads_in=True))
        side = after
        parts += [layer_costs(layer) for layer in blocks.layers]
    return added(
        [
            *parts,
            head_costs(
                plan.trunk_width, plan.mixing_width, plan.head_width, plan.num_classes, side
            ),
        ]
    )


def decisions_of(space: ElasticViT) -> list[tuple[str, tuple[int, ...]]]:
    """The genes, as names with numbers to choose from."""
    return [(gene.name, space.decisions[gene.name]) for gene in space.genes]


def draw_one(
    decisions: Sequence[tuple[str, tuple[int, ...]]], floor: Architecture, rng: random.Random
) -> tuple[int, ...]:
    """One row above a floor, a gene at a time."""
    row: list[int] = []
    before = 0
    for (name, options), low in zip(decisions, floor.choices, strict=True):
        choice = rng.randrange(low, len(options))
        if name.endswith(".width"):
            while options[choice] < before:
                choice = rng.randrange(low, len(options))
            before = options[choice]
        row.append(choice)
    return tuple(row)


def vectorised(
    drawer: ComplexityLevelDraws, level: int, count: int, rng: np.random.Generator
) -> float:
    """Draws a second, all inside."""
    start = time.perf_counter()
    drawer.draw(level, count, rng)
    return count / (time.perf_counter() - start)


def looped(space: ElasticViT, levels: ComplexityLevels, level: int, draws: int, seed: int) -> float:
    """Draws a second, costed, inside or not."""
    decisions, rng = decisions_of(space), random.Random(seed)
    start = time.perf_counter()
    for _ in range(draws):
        row = draw_one(decisions, levels.floors[level], rng)
        cost = cost_of(space.plan(Architecture(space.name, row, "")))[2]
        assert cost > 0
    return draws / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench windows")
    parser.add_argument("--levels", type=int, nargs="+", default=[0, 3, 7])
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = build()
    levels = levels_of(space)
    drawer, table = ComplexityLevelDraws(space, levels), describe_levels(space, levels)
    checked = draw_one(decisions_of(space), levels.floors[0], random.Random(0))
    known = space.costs(np.array([checked], dtype=np.int16))["released_macs"][0]
    assert cost_of(space.plan(Architecture(space.name, checked, "")))[2] == known
    line: dict[str, Any] = {"benchmark": "windows", **vars(options), "goal": 1000}
    for level in options.levels:
        rng = np.random.default_rng(level)
        ways = {
            "vectorised": partial(vectorised, drawer, level, options.count, rng),
            "loop": partial(looped, space, levels, level, options.draws, level),
        }
        inside = table[level].acceptance
        found = interleaved(ways, REPEATS)
        found["loop"] = [inside * rate for rate in found["loop"]]
        line[f"level_{level}"] = {
            "share_inside": inside,
            **{name: spread(values, 1) for name, values in found.items()},
            "times_as_fast": ratios(found["vectorised"], found["loop"], 0),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
