"""Decisions of a NASK architecture, written out: the shape of every part with its exact costs; all
that searching has to know, and so without torch.

A MAC is a multiplication of a convolution. Resizing, sampling, norms, biases and the sums of
attention, which are linear in the map, are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Placement = Literal["none", "p5", "stride8", "stride4"]
Kernel = Literal["dot", "taylor2"]
Operator = Literal["text_roi_pooling", "ga0", "ga1", "ga2"]

GROUP_WIDTH = 8  # channels that a group norm of the second part puts together, whatever the width
NUM_MAPS = 2  # text and shrunk kernel
NUM_ATTRIBUTES = 6  # of the geometry
COUNTED_ROIS = 8  # in a network's MACs; real test sets have 4 to 7 text instances an image


def halved(side: int, times: int = 1) -> int:
    """Cells a side after so many convolutions of stride 2."""
    return -(-side // (1 << times))


def head_width(width: int) -> int:
    """Hidden channels of a small head on `width` channels."""
    return max(8, width // 4)


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """A basic block of a ResNet (He et al. 2015, arXiv:1512.03385): two 3x3 convolutions.

    Attributes:
        in_width: Input channels.
        width: Output channels.
        halves: True if it halves the sides; its shortcut is then a 1x1 convolution of 2x2 means.
    """

    in_width: int
    width: int
    halves: bool

    @property
    def params(self) -> int:
        """Weights, and the norms' scales and shifts."""
        convs = 9 * self.in_width * self.width + 9 * self.width**2
        return convs + 4 * self.width + self.halves * (self.in_width + 2) * self.width

    def macs(self, side: int) -> int:
        """For a `side` x `side` input."""
        weights = 9 * self.in_width * self.width + 9 * self.width**2
        return (weights + self.halves * self.in_width * self.width) * halved(side, self.halves) ** 2


def stage(in_width: int, width: int, depth: int) -> tuple[BlockShape, ...]:
    """The blocks of one stage, of which the first halves the sides."""
    first = BlockShape(in_width=in_width, width=width, halves=True)
    return (
        first,
        *(BlockShape(in_width=width, width=width, halves=False) for _ in range(1, depth)),
    )


@dataclass(frozen=True, kw_only=True)
class AttentionShape:
    """Group spatial and channel attention.

    Attributes:
        width: Channels of the map.
        inner_width: Channels inside.
        groups: Groups into which the inner channels, and the map's, are split.
        placement: Place at which it acts: the coarsest level, or the fused map at stride 8 or 4.
        kernel: Measure of affinity.
    """

    width: int
    inner_width: int
    groups: int
    placement: Placement
    kernel: Kernel

    def __post_init__(self) -> None:
        if min(self.width, self.inner_width, self.groups) < 1 or (
            self.width % self.groups or self.inner_width % self.groups
        ):
            raise ValueError(
                "attention needs widths of at least 1 that its groups divide, got width "
                f"{self.width}, inner width {self.inner_width} and {self.groups} groups"
            )

    @property
    def weights(self) -> int:
        """Number of weights of its four 1x1 convolutions."""
        return 3 * self.width * self.inner_width + self.width * self.inner_width // self.groups

    @property
    def params(self) -> int:
        """Weights, and the norm's scale and shift."""
        return self.weights + 2 * self.width

    def macs(self, side: int) -> int:
        """For images of `side` pixels a side."""
        cells = halved(side, {"p5": 5, "stride8": 3, "stride4": 2}[self.placement])
        return self.weights * cells**2


@dataclass(frozen=True, kw_only=True)
class AlignShape:
    """The step from a RoI to a map of fixed size.

    Attributes:
        width: Channels of the features.
        size: Rows and columns of the map.
        operator: Sampling on the rectangle's grid, or on one that offsets bend.
        samples: Points a side of a cell whose mean is taken.
        encoder: 3x3 convolutions afterwards.
    """

    width: int
    size: tuple[int, int]
    operator: Operator
    samples: int = 1
    encoder: int = 0

    @property
    def bends(self) -> bool:
        """True if columns are moved along the rectangle's normal."""
        return self.operator in ("ga1", "ga2")

    @property
    def shifts(self) -> bool:
        """True if every cell is moved on its own too."""
        return self.operator == "ga2"

    @property
    def params(self) -> int:
        """Weights, biases, and the norms' scales and shifts."""
        hidden = head_width(self.width)
        bend = 12 * self.width * hidden + hidden + hidden + 1
        shift = 18 * self.width + 2
        return (
            self.bends * bend
            + self.shifts * shift
            + self.encoder * (9 * self.width**2 + 2 * self.width)
        )

    @property
    def macs(self) -> int:
        """MACs for one RoI."""
        high, wide = self.size
        hidden = head_width(self.width)
        bend = wide * (12 * self.width * hidden + hidden)
        each = self.shifts * 18 * self.width + self.encoder * 9 * self.width**2
        return self.bends * bend + high * wide * each


@dataclass(frozen=True, kw_only=True)
class FoxShape:
    """The head that predicts geometry.

    Attributes:
        in_width: Channels of the features.
        width: Channels of its 3x3 convolutions.
        depth: Number of those convolutions.
        separable: True if each is a depthwise one and a 1x1 one instead.
        size: Rows and columns of the map.
    """

    in_width: int
    width: int
    depth: int
    separable: bool
    size: tuple[int, int]

    @property
    def widths(self) -> tuple[tuple[int, int], ...]:
        """Input and output channels of each layer."""
        return ((self.in_width, self.width), *((self.width, self.width),) * (self.depth - 1))

    @property
    def weights(self) -> int:
        """Number of weights of all convolutions."""
        layers = (
            9 * before + before * after if self.separable else 9 * before * after
            for before, after in self.widths
        )
        return sum(layers) + NUM_ATTRIBUTES * self.width

    @property
    def params(self) -> int:
        """Weights, biases, and the norms' scales and shifts."""
        return self.weights + 2 * self.width * self.depth + NUM_ATTRIBUTES

    @property
    def macs(self) -> int:
        """MACs for one RoI."""
        return self.weights * self.size[0] * self.size[1]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One network.

    Attributes:
        in_channels: Channels of the input.
        resolution: Long side of the resized input in pixels.
        stem_width: Channels after the first 3x3 convolution, which halves the sides.
        stages: The blocks of the stages, whose outputs have strides 4, 8, 16 and 32.
        pyramid_width: Channels of the feature pyramid and of the fused map.
        attention: Attention of the first part; None for none.
        align: From a RoI to a map of fixed size.
        fox: The head on that map.
    """

    in_channels: int
    resolution: int
    stem_width: int
    stages: tuple[tuple[BlockShape, ...], ...]
    pyramid_width: int
    attention: AttentionShape | None
    align: AlignShape
    fox: FoxShape

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """Channels after each stage."""
        return tuple(blocks[-1].width for blocks in self.stages)

    def drop_rates(self, drop_connect: float) -> tuple[tuple[float, ...], ...]:
        """A rate for each block: `drop_connect` x its index / the number of blocks."""
        count = sum(len(blocks) for blocks in self.stages)
        starts = [sum(len(blocks) for blocks in self.stages[:i]) for i in range(len(self.stages))]
        return tuple(
            tuple(drop_connect * (start + layer) / count for layer in range(len(blocks)))
            for start, blocks in zip(starts, self.stages, strict=True)
        )
