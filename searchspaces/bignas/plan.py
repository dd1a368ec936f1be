"""Plan of a BigNAS architecture, written out: the widths, kernels and shortcuts of every layer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from searchspaces.elastic.shapes import MBConvShape


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The options of one stage of MBConv blocks.

    Attributes:
        widths: Output channels, ascending.
        depths: Numbers of blocks, ascending.
        kernels: Sides of the depthwise kernel, odd, ascending.
        stride: Stride of the first block; the others have 1.
        expand: Factor from a block's input width to its depthwise width; 1 for no expansion.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    stride: int = 1
    expand: int = 6

    def __post_init__(self) -> None:
        for name, options in (
            ("widths", self.widths),
            ("depths", self.depths),
            ("kernels", self.kernels),
        ):
            check_options(f"a stage's {name}", options)
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(
                "a stage's kernels must be odd, so that the smaller lie in the centre of the "
                f"larger, got {self.kernels}"
            )
        if self.stride not in (1, 2) or self.expand < 1:
            raise ValueError(
                f"a stage needs stride 1 or 2 and an expansion of at least 1, got {self.stride} "
                f"and {self.expand}"
            )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One network.

    Attributes:
        in_channels: Channels of the input.
        resolution: Side of the resized input in pixels.
        stem_width: Channels after the first 3x3 convolution.
        stem_stride: Stride of the stem.
        stages: The blocks of each stage.
        last_width: Channels before the classifier.
        num_classes: Outputs.
    """

    in_channels: int
    resolution: int
    stem_width: int
    stem_stride: int
    stages: tuple[tuple[MBConvShape, ...], ...]
    last_width: int
    num_classes: int

    @property
    def trunk_width(self) -> int:
        """Channels after the last stage."""
        return self.stages[-1][-1].out_width

    def drop_rates(self, drop_connect: float) -> tuple[tuple[float, ...], ...]:
        """A rate for each block: `drop_connect` x its index / the number of blocks in the last two
        stages, 0 before them.
        """
        count = sum(len(stage) for stage in self.stages)
        rates, index = [], 0
        for position, stage in enumerate(self.stages):
            late = position >= len(self.stages) - 2
            rates.append(
                tuple(
                    drop_connect * (index + layer) / count if late else 0.0
                    for layer in range(len(stage))
                )
            )
            index += len(stage)
        return tuple(rates)


def check_options(what: str, options: tuple[int, ...]) -> None:
    """Raises ValueError unless `options` are positive and ascend."""
    if not options or min(options) < 1 or any(b <= a for a, b in itertools.pairwise(options)):
        raise ValueError(
            f"{what} must be at least one positive number, in ascending order without repeats, got "
            f"{options}"
        )


def rounded_width(width: float) -> int:
    """The nearest multiple of 8, ties upwards, at least 8."""
    return max(8, int(width + 4) // 8 * 8)
