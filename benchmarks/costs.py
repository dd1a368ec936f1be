"""Speed of analytic costs: architectures a second at one thread, and against counting networks that
stand built; one JSON line.

    evoray bench costs [--space bignas] [--count 1000000]

Counting runs each network once without memory (device "meta") under torch's FLOP counter; building
it is not timed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import searchspaces
from searchspaces.base import Choices, SearchSpace, architectures

REPEATS = 5
BUILT = 10


def counted(
    space: SearchSpace, rows: Choices, side: int
) -> tuple[list[tuple[float, float]], float]:
    """(MACs, parameters) of these networks, and the seconds that counting took."""
    found, seconds = [], 0.0
    for architecture in architectures(space, rows):
        subnet = space.build_subnet(None, architecture).to("meta").eval()
        started = time.perf_counter()
        with FlopCounterMode(display=False) as counter:
            subnet(torch.empty(1, getattr(space, "in_channels", 3), side, side, device="meta"))
        found.append(
            (counter.get_total_flops() / 2, float(sum(p.numel() for p in subnet.parameters())))
        )
        seconds += time.perf_counter() - started
    return found, seconds


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--space", default="bignas")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument(
        "--side", type=int, default=32, help="input side in pixels, for spaces that do not resize"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    space = searchspaces.load(options.space)
    rng = np.random.default_rng(0)
    rows = space.repair(
        np.stack(
            [rng.integers(0, len(g.options), options.count) for g in space.genes], axis=1
        ).astype(np.int16)
    )

    started = time.perf_counter()
    costs = space.costs(rows[:1])
    first_seconds = time.perf_counter() - started
    rates = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        costs = space.costs(rows)
        rates.append(options.count / (time.perf_counter() - started))
    counted(space, rows[:1], options.side)  # the counter loads what it needs on its first use
    built, seconds = counted(space, rows[:BUILT], options.side)
    counted_rate = BUILT / seconds
    equal = built == list(
        zip(costs["macs"][:BUILT].tolist(), costs["params"][:BUILT].tolist(), strict=True)
    )
    rate = statistics.median(rates)
    line = {
        "benchmark": "costs",
        "space": space.name,
        "architectures": options.count,
        "threads": 1,
        "architectures_per_second": {
            "median": round(rate),
            "min": round(min(rates)),
            "max": round(max(rates)),
        },
        "tables_seconds": round(first_seconds, 4),
        "counted_per_second": round(counted_rate, 2),
        "times_faster_than_counting": round(rate / counted_rate),
        "equal_to_counting": equal,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
