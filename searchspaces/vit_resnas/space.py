"""The ViT-ResNAS space as a frozen dataclass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Architecture, Choices, CostTable, Gene, architecture_of
from searchspaces.elastic.cost_tables import tabulate, total
from searchspaces.elastic.decisions import decided
from searchspaces.vit_resnas.plan import BlockShape, Plan, ReductionShape, Stage, StemShape
from searchspaces.vit_resnas.published import PUBLISHED

if TYPE_CHECKING:  # named only; see build_supernet
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class ViTResNAS:
    """Multi-stage vision transformers with residual spatial reduction, all sliced from the largest.

    Liao et al. 2021, arXiv:2109.00642. Each stage has a width, each block heads and hidden units of
    its own, and some blocks may be missing: `repair` sets a missing block's genes to option 0.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        stages: Each with half the grid of the one before; no width may be below the largest of the
            stage before.
        image_size: Side in pixels to which the network resizes its input; a multiple of all strides
            together.
        stem_width: Channels of the stem's 3x3 convolutions.
        stem_stride: Stride of the first of them.
        patch: Side and stride of the convolution that makes the tokens.
        num_classes: Outputs.
        in_channels: Input channels.
    """

    name: str
    stages: tuple[Stage, ...]
    image_size: int = 224
    stem_width: int = 24
    stem_stride: int = 2
    patch: int = 7
    num_classes: int = 1000
    in_channels: int = 3

    def __post_init__(self) -> None:
        if (
            not self.stages
            or min(
                self.stem_width, self.stem_stride, self.patch, self.num_classes, self.in_channels
            )
            < 1
        ):
            raise ValueError(
                f"{self.name} needs at least one stage and sizes of at least 1, got {self}"
            )
        stride = self.stem_stride * self.patch * 2 ** (len(self.stages) - 1)
        if self.image_size < 1 or self.image_size % stride:
            raise ValueError(
                f"{self.name}: the image size must be a multiple of the total stride {stride}, got "
                f"{self.image_size}"
            )
        if any(
            after.widths[0] < before.widths[-1] for before, after in itertools.pairwise(self.stages)
        ):
            raise ValueError(
                f"{self.name}: a stage's smallest width must be at least the largest of the stage "
                "before"
            )

    @cached_property
    def decisions(self) -> Mapping[str, tuple[int, ...]]:
        """Every decision's options by name, also where there is only one."""
        found: dict[str, tuple[int, ...]] = {}
        for number, stage in enumerate(self.stages, start=1):
            found[f"stage{number}.width"] = stage.widths
            for place, optional in enumerate(stage.optional, start=1):
                name = f"stage{number}.block{place}"
                found |= {
                    f"{name}.exists": (0, 1) if optional else (1,),
                    f"{name}.heads": stage.heads,
                    f"{name}.hidden": stage.hidden,
                }
        return found

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        return tuple(
            Gene(name, options) for name, options in self.decisions.items() if len(options) > 1
        )

    @cached_property
    def _columns(self) -> Mapping[str, int]:
        return {gene.name: column for column, gene in enumerate(self.genes)}

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {
            name: architecture_of(self, options)
            for name, options in PUBLISHED.get(self.name, {}).items()
        }

    def repair(self, choices: Choices) -> Choices:
        last = np.array([len(gene.options) - 1 for gene in self.genes], dtype=np.int16)
        fixed = np.clip(np.asarray(choices), 0, last).astype(np.int16)
        for name, column in self._columns.items():
            if name.endswith(".exists"):
                own = [
                    self._columns[n]
                    for n in (name.replace("exists", "heads"), name.replace("exists", "hidden"))
                    if n in self._columns
                ]
                fixed[:, own] *= fixed[:, [column]]
        return fixed

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" of one image and "params", (n,) each.

        A MAC is a multiplication of a convolution, linear layer or product of attention; resizing,
        pooling, norms, softmax, non-linearities and biases are not counted. Parameters are what the
        extracted network has, without the patch head that only training has and without running
        statistics.
        """
        return total(self._tables, choices)

    def build_supernet(self) -> nn.Module:
        # imported where a network is built: torch takes seconds, and searching needs none
        from searchspaces.vit_resnas.supernet import ViTResNASSupernet

        return ViTResNASSupernet(self.largest, self.plan)

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        from searchspaces.elastic.building import subnet_of
        from searchspaces.vit_resnas.subnet import ViTResNASSubnet, initialise

        plan = self.plan(architecture)
        return subnet_of(lambda: ViTResNASSubnet(plan), supernet, initialise)

    @property
    def largest(self) -> Plan:
        """The network of every largest option."""
        return self.plan_of({name: options[-1] for name, options in self.decisions.items()})

    def plan(self, architecture: Architecture) -> Plan:
        """The network written out.

        Raises:
            ValueError: The architecture is of another space.
        """
        return self.plan_of(decided(self, self.decisions, architecture))

    def plan_of(self, chosen: Mapping[str, int]) -> Plan:
        """The network with these options by decision, one for every name in `decisions`."""
        widths = [chosen[f"stage{number}.width"] for number in range(1, len(self.stages) + 1)]
        stages = []
        for number, (width, stage) in enumerate(zip(widths, self.stages, strict=True), start=1):
            blocks = []
            for index in range(len(stage.optional)):
                name = f"stage{number}.block{index + 1}"
                if chosen[f"{name}.exists"]:
                    blocks.append(
                        self._block(
                            number, index, width, chosen[f"{name}.heads"], chosen[f"{name}.hidden"]
                        )
                    )
            stages.append(tuple(blocks))
        return Plan(
            image_size=self.image_size,
            stem=self._stem(widths[0]),
            stages=tuple(stages),
            lengths=tuple(len(stage.optional) for stage in self.stages),
            reductions=tuple(
                self._reduction(n, before, after)
                for n, (before, after) in enumerate(itertools.pairwise(widths), start=2)
            ),
            num_classes=self.num_classes,
        )

    def _stem(self, width: int) -> StemShape:
        return StemShape(
            in_channels=self.in_channels,
            middle=self.stem_width,
            stride=self.stem_stride,
            patch=self.patch,
            width=width,
            grid=self._grid(1),
        )

    def _block(self, stage: int, index: int, width: int, heads: int, hidden: int) -> BlockShape:
        return BlockShape(
            index=index,
            width=width,
            heads=heads,
            head_width=self.stages[stage - 1].head_width,
            hidden=hidden,
        )

    def _reduction(self, stage: int, before: int, after: int) -> ReductionShape:
        return ReductionShape(in_width=before, out_width=after, grid=self._grid(stage))

    def _grid(self, stage: int) -> int:
        grid = self.image_size // (self.stem_stride * self.patch)
        return grid >> (stage - 1)

    @cached_property
    def _tables(self) -> tuple[CostTable, ...]:
        def table(names: Sequence[str], count: Callable[..., tuple[int, ...]]) -> CostTable:
            return tabulate({name: self.decisions[name] for name in names}, self._columns, count)

        tables = [table(["stage1.width"], self._stem_costs)]
        for number, stage in enumerate(self.stages, start=1):
            width = f"stage{number}.width"
            if number > 1:
                tables.append(
                    table(
                        [f"stage{number - 1}.width", width], partial(self._reduction_costs, number)
                    )
                )
            for place in range(1, len(stage.optional) + 1):
                own = [
                    f"stage{number}.block{place}.{what}" for what in ("exists", "heads", "hidden")
                ]
                tables.append(table([width, *own], partial(self._block_costs, number)))
        return (*tables, table([f"stage{len(self.stages)}.width"], self._head_costs))

    def _stem_costs(self, width: int) -> tuple[int, int]:
        stem = self._stem(width)
        return stem.macs, stem.params

    def _reduction_costs(self, stage: int, before: int, after: int) -> tuple[int, int]:
        reduction = self._reduction(stage, before, after)
        return reduction.macs, reduction.params

    def _block_costs(
        self, stage: int, width: int, exists: int, heads: int, hidden: int
    ) -> tuple[int, int]:
        block = self._block(stage, 0, width, heads, hidden)
        return exists * block.macs(self._grid(stage) ** 2 + 1), exists * block.params

    def _head_costs(self, width: int) -> tuple[int, int]:
        return width * self.num_classes, 2 * width + (width + 1) * self.num_classes
