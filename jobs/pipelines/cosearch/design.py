"""One design in plain data: its chip, its networks, which sub-accelerator runs which layer and
when, where its energy goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jobs.pipelines.cosearch.study import Study
from objectives.asic.chips import LAYER
from objectives.asic.pricing import TRAFFIC, price
from objectives.asic.specs import METRICS
from searchspaces.base import Choices, architectures, options_of


def described(study: Study, row: Choices, values: Mapping[str, float]) -> dict[str, Any]:
    """(g,) a canonical design -> "chip", "networks", "layers", "specs", "units" and "values" for
    files and pictures.

    Each of "layers" has its task, name, sub-accelerator, start and end in cycles, MACs and energy;
    "chip" lists the sub-accelerators.
    """
    rows = np.asarray(row, dtype=np.int16)[None]
    model = study.model
    layers, chips, costs = model.layers(rows), model.chips(rows), model.costs(rows)
    there = np.flatnonzero(layers["count"][0] > 0)
    assignment, start = costs.mapping.assignment[0][there], costs.mapping.start[0][there]
    table = {name: layers[name][0][there] for name in LAYER}
    machine = {
        name: np.asarray(chips[name])[0][assignment]
        for name in ("template", "pes", "noc_bw_elem_per_cycle")
    }
    prices = price(
        table,
        {**machine, "noc_scope": np.full(len(there), model.noc_scope)},
        constants=model.constants,
    )
    labels = list(study.space.networks)
    macs = (
        table["K"]
        * table["C"]
        * table["R"]
        * table["S"]
        * table["OY"]
        * table["OX"]
        * table["count"]
    )
    constants = model.constants
    split = {
        "MACs": macs * constants.mac_energy,
        "registers": (prices.traffic["l1_read"] + prices.traffic["l1_write"]) * constants.l1_energy,
        "DRAM": prices.traffic["dram"] * constants.dram_energy,
    }
    split["buffer"] = np.maximum(prices.energy - sum(split.values()), 0.0)
    listed = [
        {
            "task": labels[int(layers["task"][column])],
            "name": _name(table, index),
            "slot": int(assignment[index]),
            "start": float(start[index]),
            "end": float(start[index] + prices.cycles[index]),
            "macs": int(macs[index]),
            "energy": float(prices.energy[index]),
            "split": {kind: float(column_of[index]) for kind, column_of in split.items()},
            "utilization": float(prices.utilization[index]),
            "words": {path: float(prices.traffic[path][index]) for path in TRAFFIC},
        }
        for index, column in enumerate(there)
    ]
    own = {
        label: architectures(part, columns)[0] for label, part, columns in _networks(study, rows)
    }
    return {
        "chip": _slots(chips),
        "budget": {"pes": int(study.chip.most_units), "bandwidth": int(study.chip.most_bandwidth)},
        "networks": {
            label: options_of(study.space.networks[label], one) for label, one in own.items()
        },
        "layers": listed,
        "specs": {
            name: getattr(study.specs, name)
            for name in METRICS
            if np.isfinite(getattr(study.specs, name))
        },
        "units": {"latency": "cycles", "energy": constants.energy_unit, "area": "um2"},
        "values": dict(values),
    }


def _networks(study: Study, rows: Choices) -> list[tuple[str, Any, Choices]]:
    parts = zip(study.space.labels, study.space.split(rows), strict=True)
    return [
        (label, part, columns) for label, (part, columns) in parts if label in study.space.networks
    ]


def _slots(chips: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Slots of one chip, empty ones too, so that indices are those of the mapping."""
    columns = (
        np.asarray(chips[name])[0].tolist() for name in ("template", "pes", "noc_bw_elem_per_cycle")
    )
    return [
        {
            "template": template if pes else "none",
            "pes": int(pes),
            "bandwidth": int(bandwidth) if pes else 0,
        }
        for template, pes, bandwidth in zip(*columns, strict=True)
    ]


def _name(table: Mapping[str, Any], index: int) -> str:
    kernel, filters, channels, side = (int(table[name][index]) for name in ("R", "K", "C", "OY"))
    return f"{kernel}x{kernel} {channels}→{filters} at {side}"
