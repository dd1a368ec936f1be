"""The space of NASK-style detectors as a frozen dataclass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from searchspaces.base import Architecture, Choices, CostTable, Gene, Option
from searchspaces.elastic.cost_tables import total
from searchspaces.elastic.decisions import decided
from searchspaces.nask.costs import COSTS, cost_tables
from searchspaces.nask.options import (
    NO_ATTENTION,
    Decoding,
    Stage,
    align_of,
    allowed_groups,
    attention_of,
    check_space,
    fox_of,
    inner_width,
)
from searchspaces.nask.plan import Kernel, Operator, Placement, Plan, stage

if TYPE_CHECKING:  # named only; see build_supernet
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class NASK:
    """Detectors that look twice: a dense part over the image, a second part over its RoIs.

    Cao and Zou 2020, arXiv:2004.12436; Cao et al. 2021, arXiv:2106.12720. What is searched is this
    project's proposal. A gene exists where there is more than one option.

    Attributes:
        name: Name by which `searchspaces.load` finds it.
        resolutions: Longer sides in pixels to which the network resizes its input.
        stem_widths: Channels after the first convolution.
        stages: Four, whose outputs have strides 4, 8, 16 and 32.
        pyramid_widths: Channels of the pyramid and of the fused map, multiples of 8.
        placements: Places of attention: "none", "p5", "stride8", "stride4".
        reductions: Channels inside attention as a share of the map's.
        groups: Numbers of groups in attention; one that does not divide its channels gives way to
            the next smaller.
        kernels: Kernels of attention: "dot", "taylor2".
        roi_sizes: Rows x columns of the second part's maps, rows a multiple of 4: "16x64".
        operators: Steps from a RoI to a map: "text_roi_pooling", "ga0", "ga1", "ga2".
        samples: Points a side of a cell.
        encoders: Numbers of 3x3 convolutions after sampling.
        fox_widths: Channels of the head, multiples of 8.
        fox_depths: Numbers of layers of the head.
        convolutions: Kinds of layers of the head: "separable", "plain".
        decoding: Options for reading the outputs.
        in_channels: Input channels.
    """

    name: str
    resolutions: tuple[int, ...]
    stem_widths: tuple[int, ...]
    stages: tuple[Stage, ...]
    pyramid_widths: tuple[int, ...]
    placements: tuple[Placement, ...] = ("none", "p5", "stride8", "stride4")
    reductions: tuple[float, ...] = (0.25, 0.5)
    groups: tuple[int, ...] = (1, 2, 4)
    kernels: tuple[Kernel, ...] = ("dot", "taylor2")
    roi_sizes: tuple[str, ...]
    operators: tuple[Operator, ...]
    samples: tuple[int, ...] = (1,)
    encoders: tuple[int, ...] = (0,)
    fox_widths: tuple[int, ...]
    fox_depths: tuple[int, ...]
    convolutions: tuple[str, ...] = ("separable", "plain")
    decoding: Decoding = field(default_factory=Decoding)
    in_channels: int = 3

    def __post_init__(self) -> None:
        check_space(self)

    @cached_property
    def decisions(self) -> Mapping[str, tuple[Option, ...]]:
        """Every decision's options by name, also where there is only one."""
        found: dict[str, tuple[Option, ...]] = {
            "resolution": self.resolutions,
            "stem.width": self.stem_widths,
        }
        for index, options in enumerate(self.stages, start=1):
            found[f"stage{index}.width"] = options.widths
            found[f"stage{index}.depth"] = options.depths
        return {
            **found,
            "pyramid.width": self.pyramid_widths,
            "gsca.placement": self.placements,
            "gsca.reduction": self.reductions,
            "gsca.groups": self.groups,
            "gsca.kernel": self.kernels,
            "roi.size": self.roi_sizes,
            "roi.operator": self.operators,
            "roi.samples": self.samples,
            "roi.encoder": self.encoders,
            "fox.width": self.fox_widths,
            "fox.depth": self.fox_depths,
            "fox.convolution": self.convolutions,
            **self.decoding.decisions,
        }

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        return tuple(
            Gene(name, options) for name, options in self.decisions.items() if len(options) > 1
        )

    @property
    def decoding_genes(self) -> tuple[str, ...]:
        """Names of the genes of `decoding`; repair leaves them alone."""
        return tuple(name for name in self._columns if name.startswith("decode."))

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {}

    def repair(self, choices: Choices) -> Choices:
        """Without attention its other genes have option 0; groups that do not divide its channels
        become the most of fewer that do.
        """
        last = np.array([len(gene.options) - 1 for gene in self.genes], dtype=np.int16)
        fixed = np.clip(np.asarray(choices), 0, last).astype(np.int16)
        columns = self._columns
        if "gsca.groups" in columns:
            picked = (
                self._picked(fixed, name)
                for name in ("pyramid.width", "gsca.reduction", "gsca.groups")
            )
            fixed[:, columns["gsca.groups"]] = self._allowed_groups[tuple(picked)]
        absent = self._placed_nowhere[self._picked(fixed, "gsca.placement")]
        for name in ("gsca.reduction", "gsca.groups", "gsca.kernel"):
            if name in columns:
                fixed[absent, columns[name]] = 0
        return fixed

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """(n, g) -> "dense_macs" of one image of square sides, "roi_macs" of one RoI, "macs" of an
        image with 8 RoIs, and "params", (n,) each.
        """
        return total(self._tables, choices, COSTS)

    def build_supernet(self) -> nn.Module:
        # imported where a network is built: torch takes seconds, and searching needs none
        from searchspaces.nask.supernet import NASKSupernet

        chosen = {name: options[-1] for name, options in self.decisions.items()}
        inner = max(
            inner_width(width, reduction)
            for width in self.pyramid_widths
            for reduction in self.reductions
        )
        return NASKSupernet(
            self.plan_of({**chosen, "gsca.placement": NO_ATTENTION}),
            self.plan,
            attentions={place: inner for place in self.placements if place != NO_ATTENTION},
            plain="plain" in self.convolutions,
            separable="separable" in self.convolutions,
        )

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        from searchspaces.elastic.building import subnet_of
        from searchspaces.nask.subnet import NASKSubnet, copy_projections, initialise_subnet

        plan = self.plan(architecture)
        subnet = subnet_of(lambda: NASKSubnet(plan), supernet, initialise_subnet)
        if supernet is not None:
            copy_projections(supernet, subnet)
        return subnet

    def plan(self, architecture: Architecture) -> Plan:
        """The network written out.

        Raises:
            ValueError: The architecture is of another space.
        """
        return self.plan_of(decided(self, self.decisions, architecture))

    def plan_of(self, chosen: Mapping[str, Any]) -> Plan:
        """The network with these options by decision, one for every name in `decisions`."""
        stages, width = [], chosen["stem.width"]
        for index in range(1, len(self.stages) + 1):
            before, width = width, chosen[f"stage{index}.width"]
            stages.append(stage(before, width, chosen[f"stage{index}.depth"]))
        pyramid = chosen["pyramid.width"]
        placed = [chosen[f"gsca.{what}"] for what in ("placement", "reduction", "groups", "kernel")]
        looked = [chosen[f"roi.{what}"] for what in ("size", "operator", "samples", "encoder")]
        head = [chosen[f"fox.{what}"] for what in ("width", "depth", "convolution")]
        return Plan(
            in_channels=self.in_channels,
            resolution=chosen["resolution"],
            stem_width=chosen["stem.width"],
            stages=tuple(stages),
            pyramid_width=pyramid,
            attention=attention_of(pyramid, *placed),
            align=align_of(pyramid, *looked),
            fox=fox_of(pyramid, chosen["roi.size"], *head),
        )

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {gene.name: column for column, gene in enumerate(self.genes)}

    def _picked(self, choices: Choices, name: str) -> NDArray[np.intp]:
        """(n,) the chosen option of a decision; 0 where it is no gene."""
        column = self._columns.get(name)
        none = np.zeros(len(choices), dtype=np.intp)
        return none if column is None else choices[:, column].astype(np.intp)

    @cached_property
    def _placed_nowhere(self) -> NDArray[np.bool_]:
        return np.array([place == NO_ATTENTION for place in self.placements])

    @cached_property
    def _allowed_groups(self) -> NDArray[np.int16]:
        """(pyramid widths, reductions, groups): the option that takes the place of each."""
        return np.array(
            [
                [
                    [
                        self.groups.index(allowed_groups(groups, self.groups, width, share))
                        for groups in self.groups
                    ]
                    for share in self.reductions
                ]
                for width in self.pyramid_widths
            ],
            dtype=np.int16,
        )

    @cached_property
    def _tables(self) -> tuple[CostTable, ...]:
        return cost_tables(self.decisions, self._columns, self.in_channels)
