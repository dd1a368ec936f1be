"""The ElasticViT space as a frozen dataclass."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import (
    Architecture,
    Choices,
    ComplexityLevels,
    CostChain,
    CostTable,
    Gene,
    architecture_of,
)
from searchspaces.elastic.cost_tables import tabulate, total
from searchspaces.elastic.decisions import decided
from searchspaces.elastic.shapes import MBConvShape, TransformerShape
from searchspaces.elasticvit.costs import (
    COSTS,
    Costs,
    added,
    block_costs,
    first_costs,
    head_costs,
    layer_costs,
)
from searchspaces.elasticvit.plan import (
    ConvStage,
    Plan,
    TransformerBlocks,
    TransformerStage,
    check_options,
)
from searchspaces.elasticvit.published import LEVEL_SPAN, LEVELS, PUBLISHED

if TYPE_CHECKING:  # named only; see build_supernet
    from torch import nn

_REDUCTION_EXPAND, _REDUCTION_KERNEL = 6, 3  # of the blocks that lead in a transformer stage


@dataclass(frozen=True, kw_only=True)
class ElasticViT:
    """Networks of MBConv stages, then transformer stages, all sliced from the largest.

    Tang et al. 2023, arXiv:2303.09730. A gene exists where there is more than one option. Widths
    never fall from stage to stage: `repair` raises a width to the smallest that is allowed.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        resolutions: Sides in pixels to which the network resizes its input.
        stem_widths: Channels after the first 3x3 convolution and of the stem's blocks, which do not
            expand.
        conv_stages: The MBConv stages, at least one.
        transformer_stages: The transformer stages, at least one.
        stem_depths: Blocks of the stem.
        stem_kernels: Sides of their depthwise kernels.
        first_stride: Stride of the first convolution.
        head_width: Channels of a head's queries and keys.
        mixing_ratio: Factor from the last width to that of the linear layer before pooling.
        last_width: Channels after pooling.
        num_classes: Outputs.
        in_channels: Input channels.
        joint_norm: Takes layer norms' mean and variance over all tokens of a sample together, as in
            the released code; else token by token.
    """

    name: str
    resolutions: tuple[int, ...]
    stem_widths: tuple[int, ...]
    conv_stages: tuple[ConvStage, ...]
    transformer_stages: tuple[TransformerStage, ...]
    stem_depths: tuple[int, ...] = (1, 2)
    stem_kernels: tuple[int, ...] = (3, 5)
    first_stride: int = 2
    head_width: int = 16
    mixing_ratio: int = 6
    last_width: int = 1984
    num_classes: int = 1000
    in_channels: int = 3
    joint_norm: bool = True

    def __post_init__(self) -> None:
        for what in ("resolutions", "stem_widths", "stem_depths", "stem_kernels"):
            check_options(f"{self.name}: {what}", getattr(self, what))
        if not self.conv_stages or not self.transformer_stages or self.first_stride not in (1, 2):
            raise ValueError(
                f"{self.name} needs at least one stage of each kind and a first stride of 1 or 2, "
                f"got {self}"
            )
        if any(
            width % self.head_width for stage in self.transformer_stages for width in stage.widths
        ):
            raise ValueError(
                f"{self.name}: widths of transformer stages must be multiples of the head width "
                f"{self.head_width}"
            )
        if any(after[-1] < before[-1] for before, after in itertools.pairwise(self._widths)):
            raise ValueError(
                f"{self.name}: a stage's largest width must be at least that of the stage before "
                f"it, got {self._widths}"
            )

    @property
    def _widths(self) -> list[tuple[int, ...]]:
        return [
            self.stem_widths,
            *(s.widths for s in self.conv_stages),
            *(s.widths for s in self.transformer_stages),
        ]

    @cached_property
    def decisions(self) -> Mapping[str, tuple[int, ...]]:
        """Every decision's options by name, also where there is only one."""
        found = {
            "resolution": self.resolutions,
            "stem.width": self.stem_widths,
            "stem.depth": self.stem_depths,
        }
        found["stem.kernel"] = self.stem_kernels
        for index, conv in enumerate(self.conv_stages, start=1):
            options = {
                "width": conv.widths,
                "depth": conv.depths,
                "kernel": conv.kernels,
                "expand": conv.expands,
            }
            found |= {f"stage{index}.{what}": values for what, values in options.items()}
        for index, stage in enumerate(self.transformer_stages, start=len(self.conv_stages) + 1):
            options = {
                "width": stage.widths,
                "depth": stage.depths,
                "mlp": stage.mlp_ratios,
                "value": stage.value_scales,
            }
            found |= {f"stage{index}.{what}": values for what, values in options.items()}
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

    @property
    def levels(self) -> ComplexityLevels | None:
        """The authors' complexity levels; None for the scaled spaces, whose levels are derived from
        their costs.
        """
        if self.name not in LEVELS:
            return None
        published, rungs = self.published, LEVELS[self.name]
        return ComplexityLevels(
            "released_macs",
            tuple(rungs),
            LEVEL_SPAN,
            tuple(published[floor] for floor in rungs.values()),
        )

    @property
    def preference_genes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The widths and depths that performance-aware sampling compares: those of the transformer
        stages.
        """
        numbers = range(len(self.conv_stages) + 1, len(self._widths))
        widths, depths = (
            [f"stage{number}.{what}" for number in numbers] for what in ("width", "depth")
        )
        return tuple(n for n in widths if n in self._columns), tuple(
            n for n in depths if n in self._columns
        )

    def repair(self, choices: Choices) -> Choices:
        last = np.array([len(gene.options) - 1 for gene in self.genes], dtype=np.int16)
        fixed = np.clip(np.asarray(choices), 0, last).astype(np.int16)
        before = np.zeros(len(fixed), dtype=np.int64)
        for stage, options in enumerate(self._widths):
            widths = np.array(options)
            column = self._columns.get(self._width_name(stage))
            if column is None:
                before = np.full(len(fixed), widths[0])
                continue
            allowed = np.searchsorted(widths, before)
            fixed[:, column] = np.maximum(fixed[:, column], allowed)
            before = widths[fixed[:, column]]
        return fixed

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "macs" of one image, "params" and "released_macs", (n,) each.

        A MAC is a multiplication of a convolution, linear layer or product of attention; resizing,
        pooling, norms, softmax, non-linearities and biases are not counted. Parameters are what the
        extracted network has, without running statistics. "released_macs" are the paper's FLOPs, as
        its code counts them (`searchspaces.elasticvit.costs`).
        """
        return total(self._tables, choices, COSTS)

    def build_supernet(self) -> nn.Module:
        # imported where a network is built: torch takes seconds, and searching needs none
        from searchspaces.elasticvit.supernet import ElasticViTSupernet

        changes = [len({*before, *after}) > 1 for before, after in itertools.pairwise(self._widths)]
        return ElasticViTSupernet(
            self.largest, self.plan, width_changes=[False, *changes], joint_norm=self.joint_norm
        )

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        from searchspaces.elastic.building import subnet_of
        from searchspaces.elasticvit.subnet import ElasticViTSubnet, initialise

        plan = self.plan(architecture)
        return subnet_of(
            lambda: ElasticViTSubnet(plan, joint_norm=self.joint_norm), supernet, initialise
        )

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
        width = chosen["stem.width"]
        conv_stages = [
            tuple(
                self._stem_block(width, chosen["stem.kernel"]) for _ in range(chosen["stem.depth"])
            )
        ]
        transformer_stages = []
        for stage in range(1, len(self._widths)):
            own = {what: chosen[f"stage{stage}.{what}"] for what in self._whats(stage)}
            if stage <= len(self.conv_stages):
                first = self._conv_block(
                    stage, width, own["width"], own["kernel"], own["expand"], first=True
                )
                rest = self._conv_block(
                    stage, own["width"], own["width"], own["kernel"], own["expand"], first=False
                )
                conv_stages.append((first, *[rest] * (own["depth"] - 1)))
            else:
                layer = self._layer(
                    stage, chosen["resolution"], own["width"], own["mlp"], own["value"]
                )
                reduction = self._reduction(stage, width, own["width"])
                transformer_stages.append(
                    TransformerBlocks(reduction=reduction, layers=(layer,) * own["depth"])
                )
            width = own["width"]
        return Plan(
            in_channels=self.in_channels,
            resolution=chosen["resolution"],
            first_width=chosen["stem.width"],
            first_stride=self.first_stride,
            conv_stages=tuple(conv_stages),
            transformer_stages=tuple(transformer_stages),
            mixing_width=width * self.mixing_ratio,
            head_width=self.last_width,
            num_classes=self.num_classes,
        )

    def _whats(self, stage: int) -> tuple[str, ...]:
        return (
            ("width", "depth", "kernel", "expand")
            if stage <= len(self.conv_stages)
            else ("width", "depth", "mlp", "value")
        )

    def _width_name(self, stage: int) -> str:
        return f"stage{stage}.width" if stage else "stem.width"

    def _stem_block(self, width: int, kernel: int) -> MBConvShape:
        return MBConvShape(
            in_width=width,
            expanded_width=width,
            squeeze_width=0,
            out_width=width,
            kernel=kernel,
            expand=False,
        )

    def _conv_block(
        self, stage: int, in_width: int, width: int, kernel: int, expand: int, *, first: bool
    ) -> MBConvShape:
        options, wide = self.conv_stages[stage - 1], in_width * expand
        return MBConvShape(
            in_width=in_width,
            expanded_width=wide,
            squeeze_width=wide // 4 if options.squeeze else 0,
            out_width=width,
            kernel=kernel,
            stride=options.stride if first else 1,
        )

    def _reduction(self, stage: int, in_width: int, width: int) -> MBConvShape:
        wide = in_width * _REDUCTION_EXPAND
        return MBConvShape(
            in_width=in_width,
            expanded_width=wide,
            squeeze_width=wide // 4,
            out_width=width,
            kernel=_REDUCTION_KERNEL,
            stride=self.transformer_stages[stage - len(self.conv_stages) - 1].stride,
        )

    def _layer(
        self, stage: int, resolution: int, width: int, mlp: int, value: int
    ) -> TransformerShape:
        return TransformerShape(
            width=width,
            head_width=self.head_width,
            value_width=value * self.head_width,
            hidden=mlp * width,
            side=self._side(resolution, stage),
        )

    @cached_property
    def _tables(self) -> tuple[CostTable, ...]:
        def table(names: Sequence[str], count: Callable[..., tuple[int, ...]]) -> CostTable:
            return tabulate({name: self.decisions[name] for name in names}, self._columns, count)

        tables = [
            table(("resolution", "stem.width", "stem.depth", "stem.kernel"), self._stem_costs)
        ]
        for stage in range(1, len(self._widths)):
            before, own = (
                self._width_name(stage - 1),
                [f"stage{stage}.{what}" for what in self._whats(stage)],
            )
            if stage <= len(self.conv_stages):
                tables.append(table(("resolution", before, *own), partial(self._conv_costs, stage)))
            else:
                tables.append(
                    table(("resolution", before, own[0]), partial(self._reduction_costs, stage))
                )
                tables.append(table(("resolution", *own), partial(self._layers_costs, stage)))
        return (
            *tables,
            table(("resolution", self._width_name(len(self._widths) - 1)), self._head_costs),
        )

    def cost_chain(self, cost: str) -> CostChain:
        """Chain of one of the costs, stage by stage along the widths."""
        links = tuple(
            self._columns.get(self._width_name(stage)) for stage in range(len(self._widths))
        )
        shared = tuple(column for name, column in self._columns.items() if name == "resolution")
        stages: list[list[CostTable]] = [[] for _ in links]
        owners = {
            column: stage for stage in range(len(links)) for column in self._own_columns(stage)
        }
        for table in self._tables:
            stages[max((owners[c] for c in table.columns if c not in shared), default=0)].append(
                table
            )
        return CostChain(
            COSTS.index(cost), shared, links, tuple(tuple(tables) for tables in stages)
        )

    def _own_columns(self, stage: int) -> list[int]:
        prefix = f"stage{stage}." if stage else "stem."
        return [column for name, column in self._columns.items() if name.startswith(prefix)]

    def _stem_costs(self, resolution: int, width: int, depth: int, kernel: int) -> Costs:
        side = self._side(resolution, 0)
        block = block_costs(self._stem_block(width, kernel), side, side, leads_in=False)
        return added([first_costs(self.in_channels, width, side), *[block] * depth])

    def _conv_costs(
        self,
        stage: int,
        resolution: int,
        in_width: int,
        width: int,
        depth: int,
        kernel: int,
        expand: int,
    ) -> Costs:
        before, after = self._side(resolution, stage - 1), self._side(resolution, stage)
        first = self._conv_block(stage, in_width, width, kernel, expand, first=True)
        rest = block_costs(
            self._conv_block(stage, width, width, kernel, expand, first=False),
            after,
            after,
            leads_in=False,
        )
        return added([block_costs(first, before, after, leads_in=False), *[rest] * (depth - 1)])

    def _reduction_costs(self, stage: int, resolution: int, in_width: int, width: int) -> Costs:
        before, after = self._side(resolution, stage - 1), self._side(resolution, stage)
        return block_costs(self._reduction(stage, in_width, width), before, after, leads_in=True)

    def _layers_costs(
        self, stage: int, resolution: int, width: int, depth: int, mlp: int, value: int
    ) -> Costs:
        return added([layer_costs(self._layer(stage, resolution, width, mlp, value))] * depth)

    def _head_costs(self, resolution: int, width: int) -> Costs:
        side = self._side(resolution, len(self._widths) - 1)
        return head_costs(width, width * self.mixing_ratio, self.last_width, self.num_classes, side)

    def _side(self, resolution: int, stages: int) -> int:
        """Pixels a side after the stem (0 stages) or so many stages."""
        side = -(-resolution // self.first_stride)
        strides = [
            *(conv.stride for conv in self.conv_stages),
            *(stage.stride for stage in self.transformer_stages),
        ]
        for stride in strides[:stages]:
            side = -(-side // stride)
        return side
