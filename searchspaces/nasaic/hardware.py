"""The chip's genes: a few sub-accelerators, each a dataflow, units and bandwidth, within a budget
for all together.

Yang et al. 2020, arXiv:2002.04116: 4096 units and 64 GB/s in all; at 1 GHz and a byte a word, GB/s
are words a cycle. The grid of 32 units and 8 GB/s is that of every published chip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Choices, Gene

Slot = tuple[str, int, int]  # (dataflow, units, bandwidth)

DATAFLOWS = ("none", "dla", "shi", "rs")
_EMPTY: Slot = ("none", 0, 0)

# Table I of arXiv:2002.04116, as recollected and confirmed by its areas: workload and approach.
PUBLISHED: Mapping[str, tuple[Slot, Slot]] = {
    "W1 NAS->ASIC": (("dla", 2112, 48), ("shi", 1984, 16)),
    "W1 ASIC->HW-NAS": (("dla", 1088, 24), ("shi", 2368, 40)),
    "W1 NASAIC": (("dla", 576, 56), ("shi", 1792, 8)),
    "W2 NAS->ASIC": (("dla", 2368, 56), ("shi", 1728, 8)),
    "W2 ASIC->HW-NAS": (("dla", 2112, 24), ("shi", 1536, 40)),
    "W2 NASAIC": (("dla", 2112, 40), ("shi", 1184, 24)),
}


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Genes of a chip with so many slots; an empty slot is ("none", 0, 0).

    Attributes:
        name: Name for messages.
        num_slots: Sub-accelerators at most.
        most_units: Processing elements of all slots together.
        unit_step: Grid of the units.
        most_bandwidth: Words a cycle of all slots together.
        bandwidth_step: Grid of the bandwidth.
        same_dataflow: Gives all slots the first one's dataflow (a homogeneous chip).
    """

    name: str = "chip"
    num_slots: int = 2
    most_units: int = 4096
    unit_step: int = 32
    most_bandwidth: int = 64
    bandwidth_step: int = 8
    same_dataflow: bool = False

    def __post_init__(self) -> None:
        if (
            self.num_slots < 1
            or self.most_units < self.unit_step
            or self.most_bandwidth < self.bandwidth_step
        ):
            raise ValueError(
                f"{self.name} needs a slot and budgets of at least one step, got {self}"
            )
        if self.most_units % self.unit_step or self.most_bandwidth % self.bandwidth_step:
            raise ValueError(
                f"{self.name} needs budgets that are multiples of their steps, got {self}"
            )

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        units = tuple(range(0, self.most_units + 1, self.unit_step))
        bandwidth = tuple(range(0, self.most_bandwidth + 1, self.bandwidth_step))
        return tuple(
            gene
            for slot in range(1, self.num_slots + 1)
            for gene in (
                Gene(f"slot{slot}.dataflow", DATAFLOWS),
                Gene(f"slot{slot}.pes", units),
                Gene(f"slot{slot}.bandwidth", bandwidth),
            )
        )

    def repair(self, choices: Choices) -> Choices:
        """Legal and canonical."""
        return self.canonical(self.legal(choices))

    def legal(self, choices: Choices) -> Choices:
        """(n, g) -> within the budgets, slots in their places; a chip that is legal stays as it is.

        Units beyond the budget are scaled down together and rounded down to the grid, bandwidth
        likewise; a slot that lacks any of the three is empty; a chip without a slot gets the
        smallest dla. A homogeneous chip takes the dataflow of its first used slot.
        """
        last = np.array([len(gene.options) - 1 for gene in self.genes], dtype=np.int16)
        slots = (
            np.clip(np.asarray(choices), 0, last).astype(np.int64).reshape(-1, self.num_slots, 3)
        )
        _clear(slots)
        for column, budget in zip((1, 2), self.budgets, strict=True):
            total = slots[:, :, column].sum(axis=1, keepdims=True)
            slots[:, :, column] = np.where(
                total > budget,
                slots[:, :, column] * budget // np.maximum(total, 1),
                slots[:, :, column],
            )
            _clear(slots)
        slots[~slots.any(axis=(1, 2)), 0] = 1
        if self.same_dataflow:
            used = slots[:, :, 0] > 0
            first = slots[np.arange(len(slots)), used.argmax(axis=1), 0]
            slots[:, :, 0] = np.where(used, first[:, None], 0)
        return slots.reshape(len(slots), 3 * self.num_slots).astype(np.int16)

    def canonical(self, choices: Choices) -> Choices:
        """(n, g) legal -> slots sorted by dataflow, units, bandwidth: their order builds the same
        chip.
        """
        slots = np.asarray(choices, dtype=np.int16).reshape(-1, self.num_slots, 3)
        order = np.lexsort((slots[:, :, 2], slots[:, :, 1], slots[:, :, 0]), axis=1)
        return np.take_along_axis(slots, order[:, :, None], axis=1).reshape(
            len(slots), 3 * self.num_slots
        )

    @property
    def budgets(self) -> tuple[int, int]:
        """Units and bandwidth of all slots together, in steps of their grids: the sum of the option
        indices may not be above.
        """
        return self.most_units // self.unit_step, self.most_bandwidth // self.bandwidth_step

    def singles(self) -> Choices:
        """(s, 3) dataflow, units and bandwidth, as option indices, of every slot that is not
        empty.
        """
        units, bandwidth = self.budgets
        grid = np.meshgrid(
            np.arange(1, len(DATAFLOWS)),
            np.arange(1, units + 1),
            np.arange(1, bandwidth + 1),
            indexing="ij",
        )
        return np.stack(grid, axis=-1).reshape(-1, 3).astype(np.int16)

    def chips(self, choices: Choices) -> Mapping[str, NDArray[Any]]:
        """(n, g) -> template, pes, noc_bw_elem_per_cycle, (n, slots) each; pes 0 where a slot is
        empty.
        """
        slots = np.asarray(choices, dtype=np.int64).reshape(-1, self.num_slots, 3)
        template = np.array(["dla", *DATAFLOWS[1:]])[
            slots[:, :, 0]
        ]  # an empty slot's template is never looked at
        return {
            "template": template,
            "pes": slots[:, :, 1] * self.unit_step,
            "noc_bw_elem_per_cycle": slots[:, :, 2] * self.bandwidth_step,
        }

    def slots_of(self, choices: Choices) -> list[list[Slot]]:
        """(n, g) -> the slots in words, empty ones left out."""
        rows = np.asarray(choices, dtype=np.int64).reshape(-1, self.num_slots, 3).tolist()
        return [
            [(DATAFLOWS[d], u * self.unit_step, b * self.bandwidth_step) for d, u, b in row if d]
            for row in rows
        ]

    def choices_of(self, slots: Sequence[Slot]) -> Choices:
        """(1, g) the chip with these slots, canonical.

        Raises:
            ValueError: It has too many slots, is off the grid or over budget; the nearest legal
                chip is named.
        """
        if not 1 <= len(slots) <= self.num_slots:
            raise ValueError(
                f"{self.name} has 1 to {self.num_slots} slots, got {len(slots)}: {list(slots)}"
            )
        row: list[int] = []
        for dataflow, units, bandwidth in [*slots, *[_EMPTY] * (self.num_slots - len(slots))]:
            if dataflow not in DATAFLOWS:
                raise ValueError(
                    f"{self.name}: no dataflow {dataflow!r}; there is {', '.join(DATAFLOWS)}"
                )
            row += [
                DATAFLOWS.index(dataflow),
                units // self.unit_step,
                bandwidth // self.bandwidth_step,
            ]
        choices = np.array([row], dtype=np.int16)
        nearest = self.slots_of(self.legal(choices))[0]
        if nearest != [tuple(slot) for slot in slots]:
            raise ValueError(
                f"{self.name} cannot be {list(slots)}: at most {self.most_units} units in steps of "
                f"{self.unit_step} and bandwidth "
                f"{self.most_bandwidth} in steps of {self.bandwidth_step} in all, none of them 0; "
                f"nearest is {nearest}"
            )
        return self.canonical(choices)


def _clear(slots: NDArray[np.int64]) -> None:
    slots[(slots == 0).any(axis=2)] = 0
