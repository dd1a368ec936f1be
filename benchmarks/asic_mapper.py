"""Speed of mapping layers to heterogeneous chips, in chips a second on one core, and the gap to
trying everything; one JSON line.

    evoray bench asic_mapper [--chips 4000] [--layers 30]

Two networks share the layers, each chip has a dla and a shi half; the latency limit lies halfway
between what least energy takes and what the faster sub-accelerator of each layer would allow, so
that the heuristic has to trade. The gap is to exact enumeration on instances of ten layers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
from numpy.typing import NDArray

from benchmarks.asic_price import tables
from objectives import asic
from objectives.asic.mapping import map_exactly, map_layers

REPEATS = 5


def priced(
    chips: int, layers: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], list[int], NDArray[np.float64]]:
    """Latency and energy (chips, 2, layers), layers of each task, and limits."""
    rng = np.random.default_rng(seed)
    table, machines = tables(max(layers, 2 * chips), rng)
    machines = {name: column[: 2 * chips] for name, column in machines.items()}
    machines["template"] = np.tile(["dla", "shi"], chips)
    machines["pes"] = 32 * rng.integers(8, 65, size=2 * chips)
    machines["noc_bw_elem_per_cycle"] = 8 * rng.integers(2, 5, size=2 * chips)
    prices = asic.price_grid({name: column[:layers] for name, column in table.items()}, machines)
    latency, energy = (
        prices.cycles.reshape(chips, 2, layers),
        prices.energy.reshape(chips, 2, layers),
    )
    tasks = [layers // 2, layers - layers // 2]
    slow = map_layers(latency, energy, tasks).makespan
    return latency, energy, tasks, (slow + latency.min(axis=1).sum(axis=1) / 2) / 2


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chips", type=int, default=4000)
    parser.add_argument("--layers", type=int, default=30)
    options = parser.parse_args()
    latency, energy, tasks, limits = priced(options.chips, options.layers, 0)
    found = map_layers(latency, energy, tasks, limit=limits)
    rates = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        map_layers(latency, energy, tasks, limit=limits)
        rates.append(options.chips / (time.perf_counter() - started))
    small = priced(200, 10, 1)
    quick, exact = map_layers(*small[:3], limit=small[3]), map_exactly(*small[:3], limit=small[3])
    both = quick.feasible & exact.feasible
    gaps = quick.energy[both] / exact.energy[both] - 1
    line = {
        "benchmark": "asic_mapper",
        "chips": options.chips,
        "layers": options.layers,
        "sub_accelerators": 2,
        "threads": 1,
        "chips_per_second": {
            "median": round(statistics.median(rates)),
            "min": round(min(rates)),
            "max": round(max(rates)),
        },
        "limit_met": round(float(found.feasible.mean()), 3),
        "limit_met_by_least_energy": round(
            float((map_layers(latency, energy, tasks).makespan <= limits).mean()), 3
        ),
        "of_exactly_feasible_met": round(float(both.sum() / max(1, exact.feasible.sum())), 3),
        "mean_energy_gap_to_exact": round(float(gaps.mean()), 5) if len(gaps) else None,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
