"""Speed of pricing accelerators: (layer, accelerator) pairs a second on one core, tables checked
and encoded; one JSON line.

    evoray bench asic_price [--count 1000000]

"rows" prices row i on row i from tables of numbers and texts; "grid" prices every layer on every
chip. Layers are those of a ResNet, a MobileNet and a U-Net, chips any of the three dataflows with
32 to 4096 units and a limited network on every level.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from objectives import asic

REPEATS = 5
# type, K, C, kernel, side, stride
LAYERS = [
    ("CONV", 64, 3, 7, 112, 2),
    ("CONV", 64, 256, 1, 56, 1),
    ("CONV", 64, 64, 3, 56, 1),
    ("CONV", 512, 128, 1, 28, 1),
    ("CONV", 256, 256, 3, 14, 1),
    ("CONV", 2048, 512, 1, 7, 1),
    ("CONV", 1000, 2048, 1, 1, 1),
    ("DWCONV", 1, 144, 3, 56, 1),
    ("DWCONV", 1, 576, 3, 14, 2),
    ("CONV", 32, 16, 3, 128, 1),
    ("CONV", 64, 128, 3, 64, 1),
    ("CONV", 128, 64, 3, 32, 1),
]


def tables(
    count: int, rng: np.random.Generator
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`count` layers and as many chips."""
    at = rng.integers(len(LAYERS), size=count)
    kind, *numbers = (np.array(column)[at] for column in zip(*LAYERS, strict=True))
    K, C, kernel, side, stride = numbers
    layers = {
        "type": kind,
        "K": K,
        "C": C,
        "R": kernel,
        "S": kernel,
        "OY": side,
        "OX": side,
        "stride": stride,
    }
    chips = {
        "template": np.array(["dla", "shi", "rs"])[rng.integers(3, size=count)],
        "pes": 32 * rng.integers(1, 129, size=count),
        "noc_bw_elem_per_cycle": 8 * rng.integers(1, 9, size=count),
        "noc_scope": np.full(count, "all"),
    }
    return layers, chips


def rate(call: Callable[[], object], pairs: int) -> dict[str, int]:
    """Pairs a second: median, least and greatest of the repeats."""
    call()
    rates = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        call()
        rates.append(pairs / (time.perf_counter() - started))
    return {
        "median": round(statistics.median(rates)),
        "min": round(min(rates)),
        "max": round(max(rates)),
    }


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    options = parser.parse_args()
    layers, chips = tables(options.count, np.random.default_rng(0))
    few = {name: column[:30] for name, column in layers.items()}
    many = {name: column[: options.count // 30] for name, column in chips.items()}
    line = {"benchmark": "asic_price", "pairs": options.count, "threads": 1}
    for constants in ("maestro2019", "physical"):
        line[constants] = {
            "rows_per_second": rate(
                partial(asic.price, layers, chips, constants=constants), options.count
            ),
            "grid_pairs_per_second": rate(
                partial(asic.price_grid, few, many, constants=constants),
                30 * (options.count // 30),
            ),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
