"""The BigNAS space as a frozen dataclass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Architecture, Choices, CostTable, Gene, architecture_of
from searchspaces.bignas.plan import Plan, Stage, check_options, rounded_width
from searchspaces.bignas.published import PUBLISHED
from searchspaces.elastic.cost_tables import tabulate, total
from searchspaces.elastic.decisions import decided
from searchspaces.elastic.shapes import MBConvShape

if TYPE_CHECKING:  # named only; see build_supernet
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class BigNAS:
    """MBConv networks that differ in resolution, widths, depths and kernels, all sliced from the
    largest.

    Yu et al. 2020, arXiv:2003.11142. A gene exists where there is more than one option; every row
    of choices is a network of its own, so `repair` only clips.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        resolutions: Sides in pixels to which the network resizes its input.
        stem_widths: Channels after the first 3x3 convolution.
        stages: The MBConv stages.
        last_widths: Channels of the 1x1 convolution before pooling.
        stem_stride: Stride of the first convolution.
        num_classes: Outputs.
        in_channels: Input channels.
        zero_gamma: Starts the last scale of every block at 0, so that it starts as its shortcut; a
            block that may lack a shortcut starts at 1 all the same.
        squeeze_base: Width of which squeeze-and-excitation has a quarter: the block's input width,
            as EfficientNet, or its expanded width, there rounded to a multiple of 8 as in the
            re-implementations that do so.
        shortcut_convs: Gives blocks that change the width a shortcut too, through a 1x1
            convolution.
    """

    name: str
    resolutions: tuple[int, ...]
    stem_widths: tuple[int, ...]
    stages: tuple[Stage, ...]
    last_widths: tuple[int, ...]
    stem_stride: int = 2
    num_classes: int = 1000
    in_channels: int = 3
    zero_gamma: bool = True
    squeeze_base: Literal["input", "expanded"] = "input"
    shortcut_convs: bool = True

    def __post_init__(self) -> None:
        options = (
            ("resolutions", self.resolutions),
            ("stem_widths", self.stem_widths),
            ("last_widths", self.last_widths),
        )
        for what, values in options:
            check_options(f"{self.name}: {what}", values)
        if not self.stages or self.stem_stride not in (1, 2):
            raise ValueError(
                f"{self.name} needs at least one stage and stem stride 1 or 2, got "
                f"{len(self.stages)} stages and {self.stem_stride}"
            )
        if self.num_classes < 1 or self.in_channels < 1:
            raise ValueError(
                f"{self.name} needs at least 1 class and channel, got {self.num_classes} and "
                f"{self.in_channels}"
            )
        if self.squeeze_base not in ("input", "expanded"):
            raise ValueError(
                f"{self.name}: squeeze_base must be 'input' or 'expanded', got "
                f"{self.squeeze_base!r}"
            )

    @cached_property
    def decisions(self) -> Mapping[str, tuple[int, ...]]:
        """Every decision's options by name, also where there is only one."""
        found = {"resolution": self.resolutions, "stem.width": self.stem_widths}
        for index, stage in enumerate(self.stages, start=1):
            found |= {
                f"stage{index}.width": stage.widths,
                f"stage{index}.depth": stage.depths,
                f"stage{index}.kernel": stage.kernels,
            }
        return {**found, "last.width": self.last_widths}

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        return tuple(
            Gene(name, options) for name, options in self.decisions.items() if len(options) > 1
        )

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {
            name: architecture_of(self, options)
            for name, options in PUBLISHED.get(self.name, {}).items()
        }

    def repair(self, choices: Choices) -> Choices:
        last = np.array([len(gene.options) - 1 for gene in self.genes], dtype=np.int16)
        return np.clip(np.asarray(choices), 0, last).astype(np.int16)

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" of one image and "params", (n,) each.

        A MAC is a multiplication of a convolution or linear layer, shortcuts and
        squeeze-and-excitation included; resizing, pooling, norms, swish and biases are not counted.
        Parameters are what the extracted network has, without running statistics.
        """
        return total(self._tables, choices)

    def build_supernet(self) -> nn.Module:
        # imported where a network is built: torch takes seconds, and searching needs none
        from searchspaces.bignas.supernet import BigNASSupernet

        widths = [self.stem_widths, *(stage.widths for stage in self.stages)]
        changes = [len({*before, *after}) > 1 for before, after in itertools.pairwise(widths)]
        largest = self.plan_of({name: options[-1] for name, options in self.decisions.items()})
        return BigNASSupernet(
            largest,
            self.plan,
            width_changes=changes,
            shortcut_convs=self.shortcut_convs,
            zero_gamma=self.zero_gamma,
        )

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        from searchspaces.bignas.subnet import BigNASSubnet, initialise_subnet
        from searchspaces.elastic.building import subnet_of

        plan = self.plan(architecture)
        return subnet_of(
            lambda: BigNASSubnet(plan),
            supernet,
            partial(initialise_subnet, zero_gamma=self.zero_gamma),
        )

    def plan(self, architecture: Architecture) -> Plan:
        """The network written out.

        Raises:
            ValueError: The architecture is of another space.
        """
        return self.plan_of(decided(self, self.decisions, architecture))

    def plan_of(self, chosen: Mapping[str, int]) -> Plan:
        """The network with these options by decision, one for every name in `decisions`."""
        stages, in_width = [], chosen["stem.width"]
        for index in range(len(self.stages)):
            width, depth, kernel = (
                chosen[f"stage{index + 1}.{what}"] for what in ("width", "depth", "kernel")
            )
            stages.append(self.blocks(index, in_width, width, depth, kernel))
            in_width = width
        return Plan(
            in_channels=self.in_channels,
            resolution=chosen["resolution"],
            stem_width=chosen["stem.width"],
            stem_stride=self.stem_stride,
            stages=tuple(stages),
            last_width=chosen["last.width"],
            num_classes=self.num_classes,
        )

    def blocks(
        self, stage: int, in_width: int, width: int, depth: int, kernel: int
    ) -> tuple[MBConvShape, ...]:
        """The blocks of one stage (index from 0)."""
        rest = range(1, depth)
        first = self._block(self.stages[stage], in_width, width, kernel, self.stages[stage].stride)
        return (first, *(self._block(self.stages[stage], width, width, kernel, 1) for _ in rest))

    def _block(
        self, stage: Stage, in_width: int, width: int, kernel: int, stride: int
    ) -> MBConvShape:
        expanded = rounded_width(in_width * stage.expand) if stage.expand > 1 else in_width
        return MBConvShape(
            in_width=in_width,
            expanded_width=expanded,
            squeeze_width=max(1, in_width // 4)
            if self.squeeze_base == "input"
            else rounded_width(expanded / 4),
            out_width=width,
            kernel=kernel,
            stride=stride,
            expand=stage.expand > 1,
            shortcut=self.shortcut_convs or in_width == width,
        )

    @cached_property
    def _tables(self) -> tuple[CostTable, ...]:
        columns = {gene.name: column for column, gene in enumerate(self.genes)}
        before = [
            "stem.width",
            *(f"stage{index}.width" for index in range(1, len(self.stages) + 1)),
        ]

        def table(names: Sequence[str], count: Callable[..., tuple[int, int]]) -> CostTable:
            return tabulate({name: self.decisions[name] for name in names}, columns, count)

        tables = [table(("resolution", "stem.width"), self._stem_costs)]
        for index in range(len(self.stages)):
            own = (f"stage{index + 1}.{what}" for what in ("width", "depth", "kernel"))
            tables.append(
                table(("resolution", before[index], *own), partial(self._stage_costs, index))
            )
        return (*tables, table(("resolution", before[-1], "last.width"), self._head_costs))

    def _stem_costs(self, resolution: int, width: int) -> tuple[int, int]:
        weights = 9 * self.in_channels * width
        return weights * self._side(resolution, 0) ** 2, weights + 2 * width

    def _stage_costs(
        self, stage: int, resolution: int, in_width: int, width: int, depth: int, kernel: int
    ) -> tuple[int, int]:
        first, *rest = self.blocks(stage, in_width, width, depth, kernel)
        macs = first.macs(self._side(resolution, stage)) + sum(
            block.macs(self._side(resolution, stage + 1)) for block in rest
        )
        return macs, first.params + sum(block.params for block in rest)

    def _head_costs(self, resolution: int, in_width: int, width: int) -> tuple[int, int]:
        last, classifier = in_width * width, width * self.num_classes
        return last * self._side(
            resolution, len(self.stages)
        ) ** 2 + classifier, last + 2 * width + classifier + self.num_classes

    def _side(self, resolution: int, stages: int) -> int:
        """Pixels a side after the stem and so many stages."""
        side = resolution
        for stride in (self.stem_stride, *(stage.stride for stage in self.stages[:stages])):
            side = -(-side // stride)
        return side
