"""Plan of a ViT-ResNAS architecture, written out: the shape of every block and reduction, with
exact costs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The options of one stage of transformer blocks.

    Attributes:
        widths: Channels of a token, one for the whole stage, ascending.
        head_width: Channels of a head, the same in all blocks, so that heads need not add up to the
            width.
        heads: Numbers of heads, for each block, ascending.
        hidden: Channels inside the feed-forward network, for each block, ascending.
        optional: True for each block that a network may go without.
    """

    widths: tuple[int, ...]
    head_width: int
    heads: tuple[int, ...]
    hidden: tuple[int, ...]
    optional: tuple[bool, ...]

    def __post_init__(self) -> None:
        for name in ("widths", "heads", "hidden"):
            options = getattr(self, name)
            if (
                not options
                or min(options) < 1
                or any(b <= a for a, b in itertools.pairwise(options))
            ):
                raise ValueError(
                    f"a stage's {name} must be at least one positive number, in ascending order "
                    f"without repeats, got {options}"
                )
        if self.head_width < 1 or not self.optional or all(self.optional):
            raise ValueError(
                "a stage needs a head width of at least 1 and a block that is not optional, got "
                f"{self}"
            )


@dataclass(frozen=True, kw_only=True)
class BlockShape:
    """One transformer block.

    Attributes:
        index: Place in its stage, counting blocks that the network goes without.
        width: Channels of a token.
        heads: Heads of attention.
        head_width: Channels of a head.
        hidden: Channels inside the feed-forward network.
    """

    index: int
    width: int
    heads: int
    head_width: int
    hidden: int

    @property
    def inner(self) -> int:
        """Channels of all heads together."""
        return self.heads * self.head_width

    @property
    def params(self) -> int:
        """Weights and biases."""
        attention = 3 * (self.width + 1) * self.inner + (self.inner + 1) * self.width
        return (
            attention
            + (self.width + 1) * self.hidden
            + (self.hidden + 1) * self.width
            + 4 * self.width
        )

    def macs(self, tokens: int) -> int:
        """Multiply-accumulates of the linear layers and of both products of attention; no softmax,
        norms or biases.
        """
        return (
            tokens * (4 * self.width * self.inner + 2 * self.width * self.hidden)
            + 2 * tokens**2 * self.inner
        )


@dataclass(frozen=True, kw_only=True)
class StemShape:
    """Stem, from the image to the first grid of tokens.

    Attributes:
        in_channels: Channels of the image.
        middle: Channels of the three 3x3 convolutions; they are not searched.
        stride: Stride of the first 3x3 convolution.
        patch: Side and stride of the convolution that makes the tokens.
        width: Channels of a token.
        grid: Tokens a side.
    """

    in_channels: int
    middle: int
    stride: int
    patch: int
    width: int
    grid: int

    @property
    def params(self) -> int:
        """Weights, biases, the class token and the positions."""
        convs = 9 * self.in_channels * self.middle + 2 * 9 * self.middle**2 + 3 * 2 * self.middle
        return (
            convs + (self.middle * self.patch**2 + 1) * self.width + (self.grid**2 + 2) * self.width
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolutions."""
        pixels = (self.grid * self.patch) ** 2
        return (
            9 * (self.in_channels + 2 * self.middle) * self.middle * pixels
            + self.middle * self.patch**2 * self.width * self.grid**2
        )


@dataclass(frozen=True, kw_only=True)
class ReductionShape:
    """Residual spatial reduction between two stages.

    Attributes:
        in_width: Channels before.
        out_width: Channels after, at least as many.
        grid: Tokens a side after.
    """

    in_width: int
    out_width: int
    grid: int

    def __post_init__(self) -> None:
        if self.out_width < self.in_width or self.grid < 1:
            raise ValueError(
                f"a residual reduction widens or keeps the width and leaves a token, got {self}"
            )

    @property
    def params(self) -> int:
        """Weights, biases and the positions."""
        return (
            2 * self.in_width
            + 10 * self.in_width * self.out_width
            + 2 * self.out_width
            + self.grid**2 * self.out_width
        )

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the convolution on patches and the linear layer on the class
        token.
        """
        return (9 * self.grid**2 + 1) * self.in_width * self.out_width


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One network.

    Attributes:
        image_size: Side of the resized input in pixels.
        stem: Stem, before the first stage.
        stages: The blocks of each stage that the network has.
        lengths: Number of blocks of each stage in the space, those that the network goes without
            included.
        reductions: Between the stages.
        num_classes: Outputs.
    """

    image_size: int
    stem: StemShape
    stages: tuple[tuple[BlockShape, ...], ...]
    lengths: tuple[int, ...]
    reductions: tuple[ReductionShape, ...]
    num_classes: int

    @property
    def width(self) -> int:
        """Channels after the last stage."""
        return self.stages[-1][0].width

    @property
    def params(self) -> int:
        """Parameters of the whole network, without the patch head that only training has."""
        blocks = sum(block.params for stage in self.stages for block in stage)
        return (
            self.stem.params
            + blocks
            + sum(r.params for r in self.reductions)
            + 2 * self.width
            + self.head_params
        )

    @property
    def head_params(self) -> int:
        """Parameters of the classifier; the patch head has as many."""
        return (self.width + 1) * self.num_classes

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole network for one image."""
        macs = (
            self.stem.macs
            + sum(reduction.macs for reduction in self.reductions)
            + self.width * self.num_classes
        )
        for stage, grid in zip(self.stages, self.grids, strict=True):
            macs += sum(block.macs(grid**2 + 1) for block in stage)
        return macs

    @property
    def grids(self) -> tuple[int, ...]:
        """Tokens a side in each stage; the class token comes on top."""
        return (self.stem.grid, *(reduction.grid for reduction in self.reductions))

    def drop_rate(self, stage: int, index: int, drop_connect: float) -> float:
        """Drop rate of a block's branches: from 0 at the first block to `drop_connect` at the last,
        absent blocks counted.
        """
        place, last = sum(self.lengths[:stage]) + index, sum(self.lengths) - 1
        return drop_connect * place / last if last else 0.0
