"""Costs of whole chips for whole networks: layers priced on every sub-accelerator, mapped, summed;
a cost model for any space.

A space may know more than its genes' names. `layers(choices)` gives its networks' layers without
building them; `chips(choices)` gives a chip a row, where the chip is searched too; `split(choices)`
gives the parts of a joint genome, each asked in turn. A space with none of these is lowered network
by network, on one chip for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

import objectives.asic.constants as sets
from objectives.asic.constants import Constants
from objectives.asic.lower import lower
from objectives.asic.mapping import Mapping as LayerMapping
from objectives.asic.mapping import map_layers
from objectives.asic.pricing import price
from objectives.base import Goal
from searchspaces.base import (
    Architecture,
    Choices,
    SearchSpace,
    architectures,
    builds,
    nearest,
    options_of,
)

Metric = Literal["latency", "energy", "area"]
Slots = Sequence[tuple[str, int, float]]  # (template, units, bandwidth) of each sub-accelerator
LAYER = ("type", "K", "C", "R", "S", "OY", "OX", "stride", "count")


@runtime_checkable
class KnowsLayers(Protocol):
    """A space that lists its networks' layers."""

    def layers(self, choices: Choices) -> Mapping[str, NDArray[Any]]:
        """(n, g) -> columns as for `price`, (n, l) each; count 0 where a row has fewer layers;
        "task" (l,) numbers the networks.
        """
        ...


@runtime_checkable
class KnowsChips(Protocol):
    """A space whose genes describe a chip."""

    def chips(self, choices: Choices) -> Mapping[str, NDArray[Any]]:
        """(n, g) -> template, pes, noc_bw_elem_per_cycle, (n, k) each; pes 0 where a slot is
        empty.
        """
        ...


@runtime_checkable
class Joint(Protocol):
    """A space of several parts."""

    def split(self, choices: Choices) -> Sequence[tuple[Any, Choices]]:
        """(n, g) -> each part with its own columns; a part that builds networks is a search
        space.
        """
        ...


@dataclass(frozen=True, eq=False)
class Costs:
    """n designs: cycles, energy, um2, (n,) each, inf where no sub-accelerator can run a layer; and
    how the layers are mapped.
    """

    latency: NDArray[np.float64]
    energy: NDArray[np.float64]
    area: NDArray[np.float64]
    mapping: LayerMapping


def chip_costs(
    layers: Mapping[str, NDArray[Any]],
    chips: Mapping[str, NDArray[Any]],
    *,
    constants: Constants,
    noc_scope: str,
    limit: ArrayLike = np.inf,
) -> Costs:
    """Row i of the layers (n, l) on row i of the chips (n, k); columns as the protocols above say.

    Energy is the least that the mapper finds within `limit` cycles. Area is the sum over the
    sub-accelerators.
    """
    pes, count = np.asarray(chips["pes"]), np.asarray(layers["count"])
    n, k, length = len(pes), pes.shape[1], count.shape[1]
    latency, energy, area = np.zeros((n, k, length)), np.zeros((n, k, length)), np.zeros((n, k))
    used = pes > 0
    for slot in range(k):
        rows = np.nonzero(used[:, slot])[0]
        latency[~used[:, slot], slot] = energy[~used[:, slot], slot] = np.inf
        row, column = np.nonzero(count[rows] > 0)
        at = rows[row]
        machine = {
            name: np.asarray(chips[name])[:, slot]
            for name in ("template", "pes", "noc_bw_elem_per_cycle")
        }
        table = {name: np.asarray(layers[name])[at, column] for name in LAYER}
        scope = np.full(len(at), noc_scope)
        prices = price(
            table,
            {name: values[at] for name, values in machine.items()} | {"noc_scope": scope},
            constants=constants,
        )
        latency[at, slot, column], energy[at, slot, column] = prices.cycles, prices.energy
        area[at, slot] = prices.area
    mapping = map_layers(
        latency, energy, np.unique(layers["task"], return_counts=True)[1].tolist(), limit=limit
    )
    return Costs(mapping.makespan, mapping.energy, area.sum(axis=1), mapping)


@dataclass(eq=False)
class ChipModel:
    """Latency, energy and area of a space's rows, computed together and kept for the rows asked
    last.

    Attributes:
        space: Any search space.
        slots: The chip, where the space has no genes for one.
        constants: Energies and areas of the cost model.
        noc_scope: On-chip networks that the bandwidth limits: "top", or "all" as NASAIC's tool
            does.
        latency_limit: Cycles within which energy is minimised.
        image: (channels, height, width) where the space says nothing of its inputs.
        num_priced: Designs that were priced and mapped so far, repeats included.
    """

    space: SearchSpace
    slots: Slots
    constants: Constants
    noc_scope: str = "all"
    latency_limit: float = np.inf
    image: tuple[int, int, int] = (3, 32, 32)
    num_priced: int = 0
    _lowered: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict, repr=False)
    _last: tuple[bytes, Costs] | None = field(default=None, repr=False)

    def costs(self, choices: Choices) -> Costs:
        """(n, g) canonical choices -> what their networks cost on their chips, or on the fixed
        one.
        """
        key = np.ascontiguousarray(choices).tobytes()
        if self._last is None or self._last[0] != key:
            layers, chips = self.layers(choices), self.chips(choices)
            found = chip_costs(
                layers,
                chips,
                constants=self.constants,
                noc_scope=self.noc_scope,
                limit=self.latency_limit,
            )
            self.num_priced += len(choices)
            self._last = (key, found)
        return self._last[1]

    def layers(self, choices: Choices) -> Mapping[str, NDArray[Any]]:
        """(n, g) canonical choices -> the layers of all their networks, columns as `KnowsLayers`
        says, tasks numbered in order.
        """
        return _beside(
            [self._layers(part, own) for part, own in self._parts(choices) if builds(part)]
        )

    def chips(self, choices: Choices) -> Mapping[str, NDArray[Any]]:
        """(n, g) canonical choices -> their chips, columns as `KnowsChips` says, or the fixed one
        for all.
        """
        found = next(
            (part.chips(own) for part, own in self._parts(choices) if isinstance(part, KnowsChips)),
            None,
        )
        return self._fixed(len(choices)) if found is None else found

    def _parts(self, choices: Choices) -> Sequence[tuple[Any, Choices]]:
        return (
            self.space.split(choices) if isinstance(self.space, Joint) else [(self.space, choices)]
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_lowered": {}, "_last": None}

    def _fixed(self, rows: int) -> dict[str, NDArray[Any]]:
        template, pes, bandwidth = zip(*self.slots, strict=True)
        columns = {
            "template": np.array(template),
            "pes": np.array(pes),
            "noc_bw_elem_per_cycle": np.array(bandwidth, dtype=np.float64),
        }
        return {name: np.tile(values, (rows, 1)) for name, values in columns.items()}

    def _layers(self, space: SearchSpace, choices: Choices) -> Mapping[str, NDArray[Any]]:
        if isinstance(space, KnowsLayers):
            return space.layers(choices)
        tables = [
            self._table(space, architecture) for architecture in architectures(space, choices)
        ]
        length = max((len(table["K"]) for table in tables), default=1)
        padded: dict[str, NDArray[Any]] = {
            "type": np.full((len(tables), length), "CONV", dtype="<U6")
        }
        padded |= {name: np.ones((len(tables), length), dtype=np.int64) for name in LAYER[1:-1]}
        padded["count"] = np.zeros((len(tables), length), dtype=np.int64)
        for row, table in enumerate(tables):
            for name in LAYER:
                padded[name][row, : len(table["K"])] = table[name]
        return padded | {"task": np.zeros(length, dtype=np.int64)}

    def _table(self, space: SearchSpace, architecture: Architecture) -> dict[str, NDArray[Any]]:
        key = f"{space.name} {architecture.key}"
        if key not in self._lowered:
            channels, height, width = self.image
            side = options_of(space, architecture).get(
                "resolution", getattr(space, "image_size", None)
            )
            shape = (
                1,
                getattr(space, "in_channels", channels),
                *((int(side), int(side)) if side else (height, width)),
            )
            self._lowered[key] = lower(space.build_subnet(None, architecture), shape)
        return self._lowered[key]


def _beside(tables: Sequence[Mapping[str, NDArray[Any]]]) -> Mapping[str, NDArray[Any]]:
    """The layers of several networks in one row, tasks numbered on."""
    joined: dict[str, NDArray[Any]] = {
        name: np.concatenate([table[name] for table in tables], axis=1) for name in LAYER
    }
    tasks, following = [], 0
    for table in tables:
        tasks.append(table["task"] + following)
        following = int(tasks[-1].max()) + 1
    return joined | {"task": np.concatenate(tasks)}


class ChipCost:
    """One metric of a chip model, to be minimised; unmappable designs cost `UNMAPPABLE`."""

    goal = Goal.MINIMIZE
    UNMAPPABLE = 1e30  # finite, as the contract wants, and beyond any spec

    def __init__(self, model: ChipModel, metric: Metric) -> None:
        units = {"latency": "cycles", "energy": model.constants.energy_unit, "area": "um2"}
        if metric not in units:
            raise ValueError(f"an ASIC has no metric {metric!r}; {nearest(metric, units)}")
        self.model = model
        self.metric = metric
        self.name = f"asic_{metric}"
        self.unit = units[metric]

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        """(n, g) canonical choices -> (n,)."""
        values: NDArray[np.float64] = getattr(self.model.costs(choices), self.metric)
        return np.where(np.isfinite(values), values, self.UNMAPPABLE)


def build(
    space: SearchSpace,
    metric: Metric = "latency",
    *,
    slots: Slots = (("dla", 1024, 32), ("shi", 1024, 32)),
    constants: str | Constants = "maestro2019",
    noc_scope: str = "all",
    latency_limit: float = np.inf,
    image: tuple[int, int, int] = (3, 32, 32),
    model: ChipModel | None = None,
) -> ChipCost:
    """One metric; give the first one's `model` to the others, so that all are computed once."""
    if model is None:
        if not slots:
            raise ValueError(
                "a chip needs at least one sub-accelerator (template, pes, bandwidth), got none"
            )
        chosen = sets.load(constants) if isinstance(constants, str) else constants
        model = ChipModel(space, tuple(slots), chosen, noc_scope, latency_limit, image)
        price(
            {"type": ["CONV"] * len(slots)} | dict.fromkeys(LAYER[1:-1], [1] * len(slots)),
            _checkable(slots, noc_scope),
            constants=chosen,
        )
    return ChipCost(model, metric)


def _checkable(slots: Slots, noc_scope: str) -> dict[str, list[Any]]:
    template, pes, bandwidth = (list(column) for column in zip(*slots, strict=True))
    return {
        "template": template,
        "pes": pes,
        "noc_bw_elem_per_cycle": bandwidth,
        "noc_scope": [noc_scope] * len(slots),
    }
