"""The inner hardware search: for given networks, the chips that serve them best within the specs,
found through exact lower bounds.

NASAIC samples ten chips for each network it trains (Yang et al. 2020, arXiv:2002.04116). An
analytic model allows more: every layer is priced once on every single sub-accelerator of the grid,
which bounds all pairs of them from below; pairs are then mapped in the order of their bounds until
none that is left can win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from objectives.asic.chips import LAYER, ChipModel, Joint, KnowsChips
from objectives.asic.mapping import map_layers
from objectives.asic.pairing import bounds_within
from objectives.asic.pricing import price_grid
from objectives.asic.specs import METRICS, Specs
from searchspaces.base import Choices

# Weights of latency, energy and area, each relative to its spec: the least of each, and of all
# together.
DIRECTIONS = ((1.0, 1.0, 1.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
_CHUNK = 256


@runtime_checkable
class ChipGenes(KnowsChips, Protocol):
    """The part of a joint genome that describes a chip on a grid."""

    @property
    def num_slots(self) -> int: ...

    @property
    def same_dataflow(self) -> bool:
        """True if all slots must have one dataflow."""
        ...

    @property
    def budgets(self) -> tuple[int, int]:
        """Units and bandwidth of a whole chip, in steps of their grids."""
        ...

    def singles(self) -> Choices:
        """(s, 3) dataflow, units and bandwidth, as option indices, of every slot that is not
        empty.
        """
        ...

    def repair(self, choices: Choices) -> Choices: ...


class ChipSearch:
    """Rows of a joint space -> their networks with the best chips instead of their own.

    Best are, among the chips that meet every spec, those with the least of each direction's
    weighted sum of latency, energy and area over their specs. The bounds hold for the mapper's own
    schedules, so the least is exact unless `most_priced` chips were mapped before it was proven.

    Attributes:
        num_networks: Network tuples that were searched.
        num_infeasible: Network tuples for which no chip of the grid meets the specs: proven where
            no bound keeps them, else after `most_priced`.
        num_priced: Whole chips that were mapped.
        num_unproven: Directions that ended at `most_priced`.
    """

    def __init__(
        self,
        model: ChipModel,
        specs: Specs,
        *,
        directions: Sequence[tuple[float, float, float]] = DIRECTIONS,
        most_priced: int = 4096,
    ) -> None:
        """`model.latency_limit` should be the latency spec: within it the mapper saves energy.

        Raises:
            ValueError: The space has no chip genes on a grid of one or two slots, or there is no
                direction.
        """
        parts = (
            model.space.split(np.zeros((1, len(model.space.genes)), dtype=np.int16))
            if isinstance(model.space, Joint)
            else []
        )
        chips = [part for part, _ in parts if isinstance(part, ChipGenes)]
        if len(chips) != 1 or not 1 <= chips[0].num_slots <= 2:
            raise ValueError(
                "the inner chip search needs a space with one chip of 1 or 2 slots, got "
                f"{model.space.name!r} with "
                f"{[part.num_slots for part in chips] or 'none'}: search the chip's genes with the "
                "networks' instead"
            )
        if not directions or most_priced < 1:
            raise ValueError(
                "the inner chip search needs a direction and most_priced of at least 1, got "
                f"{directions} and {most_priced}"
            )
        self.model = model
        self.specs = specs
        self._chip: ChipGenes = chips[0]
        self._directions = np.array(directions)
        self._most_priced = most_priced
        self._limits = np.array([getattr(specs, name) for name in METRICS])
        self._choices = self._chip.singles()
        self._machines = self._single_machines()
        self._room = 1 << 16
        self._found: dict[bytes, Choices] = {}
        self.num_networks = self.num_infeasible = self.num_priced = self.num_unproven = 0

    def __call__(self, choices: Choices) -> list[Choices]:
        """(n, g) canonical -> for each row (m, g) canonical, the first direction's best first; (0,
        g) where no chip meets the specs.
        """
        return [self._of_row(row[None]) for row in np.asarray(choices, dtype=np.int16)]

    def _of_row(self, row: Choices) -> Choices:
        parts = self.model.space.split(row)  # type: ignore[attr-defined]  # checked to be joint
        at = next(index for index, (part, _) in enumerate(parts) if isinstance(part, ChipGenes))
        before = sum(own.shape[1] for _, own in parts[:at])
        networks = (row[:, :before], row[:, before + parts[at][1].shape[1] :])
        key = np.concatenate(networks, axis=1).tobytes()
        if key not in self._found:
            self._found[key] = self._best(row)
        chips = self._found[key]
        first, last = (np.repeat(own, len(chips), axis=0) for own in networks)
        return np.concatenate([first, chips, last], axis=1)

    def _best(self, row: Choices) -> Choices:
        """(m, genes of the chip) the chips for one network tuple."""
        self.num_networks += 1
        layers = self.model.layers(row)
        there = layers["count"][0] > 0
        tasks = np.unique(layers["task"][there], return_counts=True)[1]
        prices = price_grid(
            {name: layers[name][0][there] for name in LAYER},
            self._machines,
            constants=self.model.constants,
        )
        singles = _Singles(
            np.ascontiguousarray(prices.cycles),
            np.ascontiguousarray(prices.energy),
            prices.area,
            tasks,
        )
        pairs, bounds = self._bounded(singles)
        kept: dict[int, None] = {}
        for direction in self._directions if len(pairs) else ():
            best = self._least(singles, pairs, bounds, direction)
            if best is None:  # nothing meets the specs, in whichever direction one looks
                break
            kept[best] = None
        self.num_infeasible += not kept
        slots = np.zeros((len(kept), self._chip.num_slots, 3), dtype=np.int16)
        for place, index in enumerate(kept):
            for slot, single in enumerate(pairs[index][: self._chip.num_slots]):
                slots[place, slot] = self._choices[single] if single >= 0 else 0
        return self._chip.repair(slots.reshape(len(kept), 3 * self._chip.num_slots))

    def _bounded(self, singles: _Singles) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(c, 2) pairs of singles, -1 for none, that no bound keeps from the specs, and (c, 3)
        their bounds.
        """
        first = np.concatenate([[0], np.cumsum(singles.tasks)]).astype(np.int64)
        budgets, pairs = np.array(self._chip.budgets, dtype=np.int64), self._chip.num_slots > 1
        shape = self._choices.astype(np.int64)
        while True:
            chosen, bounds = np.empty((self._room, 2), dtype=np.int64), np.empty((self._room, 3))
            rules = (self._limits, budgets, pairs, self._chip.same_dataflow)
            found = bounds_within(
                singles.cycles, singles.energy, singles.area, shape, first, *rules, chosen, bounds
            )
            if found <= self._room:
                return chosen[:found], bounds[:found]
            self._room = found

    def _least(
        self,
        singles: _Singles,
        pairs: NDArray[np.int64],
        bounds: NDArray[np.float64],
        direction: NDArray[np.float64],
    ) -> int | None:
        """Index of the pair with the least weighted sum among those that meet the specs; None where
        none does.
        """
        scale = np.where(np.isfinite(self._limits), self._limits, np.median(bounds, axis=0))
        weights = direction / scale
        order = np.argsort(bounds @ weights, kind="stable")
        promised = (bounds @ weights)[order]
        best, chosen, priced = np.inf, None, 0
        while priced < len(order) and promised[priced] < best:
            if priced >= self._most_priced:
                self.num_unproven += 1
                break
            batch = order[priced : priced + _CHUNK]
            priced += len(batch)
            values = singles.mapped(pairs[batch], self.model.latency_limit, bounds[batch, 2])
            scores = np.where((values <= self._limits).all(axis=1), values @ weights, np.inf)
            if scores.min() < best:
                best, chosen = float(scores.min()), int(batch[scores.argmin()])
        self.num_priced += priced
        self.model.num_priced += priced
        return chosen

    def _single_machines(self) -> Mapping[str, NDArray[Any]]:
        """The singles as chips of one slot, for `price_grid`."""
        rows = np.zeros((len(self._choices), self._chip.num_slots, 3), dtype=np.int16)
        rows[:, -1] = self._choices
        chips = self._chip.chips(rows.reshape(len(rows), -1))
        columns = {
            name: np.asarray(chips[name])[:, -1]
            for name in ("template", "pes", "noc_bw_elem_per_cycle")
        }
        return {**columns, "noc_scope": np.full(len(rows), self.model.noc_scope)}


class _Singles:
    """One network tuple's layers on every single sub-accelerator: cycles and energy (s, n), area
    (s,), layers of each task (m,).
    """

    def __init__(
        self,
        cycles: NDArray[np.float64],
        energy: NDArray[np.float64],
        area: NDArray[np.float64],
        tasks: NDArray[np.int64],
    ) -> None:
        self.cycles = cycles
        self.energy = energy
        self.area = area
        self.tasks = tasks

    def mapped(
        self, pairs: NDArray[np.int64], limit: float, area: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """(c, 2) pairs -> (c, 3) latency, energy and area as the mapper makes them; inf where a
        layer fits nowhere.
        """
        there = (pairs >= 0)[:, :, None]
        cycles, energy = (
            np.where(there, table[np.maximum(pairs, 0)], np.inf)
            for table in (self.cycles, self.energy)
        )
        found = map_layers(cycles, energy, self.tasks.tolist(), limit=limit)
        return np.stack([found.makespan, found.energy, area], axis=1)
