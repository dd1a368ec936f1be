"""Plan of an ElasticViT architecture, written out: the shape of every block and layer."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from searchspaces.elastic.shapes import MBConvShape, TransformerShape


@dataclass(frozen=True, kw_only=True)
class ConvStage:
    """The options of one stage of MBConv blocks; all blocks of a stage share kernel and expansion.

    Attributes:
        widths: Output channels, ascending.
        depths: Numbers of blocks, ascending.
        kernels: Sides of the depthwise kernel, odd, ascending.
        expands: Factors from a block's input width to its depthwise width, ascending.
        stride: Stride of the first block; the others have 1.
        squeeze: Gives blocks squeeze-and-excitation, with a quarter of the depthwise width inside.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...] = (3, 5)
    expands: tuple[int, ...] = (3, 4, 5, 6)
    stride: int = 2
    squeeze: bool = False

    def __post_init__(self) -> None:
        for name in ("widths", "depths", "kernels", "expands"):
            check_options(f"a stage's {name}", getattr(self, name))
        if (
            any(kernel % 2 == 0 for kernel in self.kernels)
            or self.stride not in (1, 2)
            or self.expands[0] < 2
        ):
            raise ValueError(
                "a stage of MBConv needs odd kernels, stride 1 or 2 and expansions of at least 2, "
                f"got {self}"
            )


@dataclass(frozen=True, kw_only=True)
class TransformerStage:
    """The options of one stage of transformer layers, led in by an MBConv block that is not
    searched.

    Attributes:
        widths: Channels of a token, ascending multiples of the head width.
        depths: Numbers of layers, ascending.
        mlp_ratios: Factors from the width to the hidden width of the feed-forward network,
            ascending.
        value_scales: Factors from the head width to a head's value width, ascending.
        stride: Stride of the leading block.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    mlp_ratios: tuple[int, ...] = (2, 3, 4, 5)
    value_scales: tuple[int, ...] = (2, 3, 4)
    stride: int = 2

    def __post_init__(self) -> None:
        for name in ("widths", "depths", "mlp_ratios", "value_scales"):
            check_options(f"a stage's {name}", getattr(self, name))
        if self.stride not in (1, 2):
            raise ValueError(f"a transformer stage needs stride 1 or 2, got {self.stride}")


@dataclass(frozen=True, kw_only=True)
class TransformerBlocks:
    """One transformer stage of a network.

    Attributes:
        reduction: The leading MBConv block.
        layers: The transformer layers.
    """

    reduction: MBConvShape
    layers: tuple[TransformerShape, ...]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One network.

    Attributes:
        in_channels: Channels of the input.
        resolution: Side of the resized input in pixels.
        first_width: Channels after the first 3x3 convolution.
        first_stride: Stride of the first convolution.
        conv_stages: The blocks of the stem and of every stage of MBConv.
        transformer_stages: The blocks of every transformer stage.
        mixing_width: Channels of the linear layer on every token before pooling.
        head_width: Channels of the linear layer after pooling.
        num_classes: Outputs.
    """

    in_channels: int
    resolution: int
    first_width: int
    first_stride: int
    conv_stages: tuple[tuple[MBConvShape, ...], ...]
    transformer_stages: tuple[TransformerBlocks, ...]
    mixing_width: int
    head_width: int
    num_classes: int

    @property
    def trunk_width(self) -> int:
        """Channels after the last stage."""
        return self.transformer_stages[-1].layers[-1].width

    def drop_rates(
        self, drop_connect: float
    ) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]:
        """A rate for every block of the conv stages and every layer of the transformer stages,
        growing linearly up to `drop_connect`.
        """
        conv = [len(stage) for stage in self.conv_stages]
        layers = [len(stage.layers) for stage in self.transformer_stages]
        count = sum(conv) + sum(layers)
        rates = iter(drop_connect * (index + 1) / count for index in range(count))
        conv_rates = tuple(tuple(itertools.islice(rates, length)) for length in conv)
        return conv_rates, tuple(tuple(itertools.islice(rates, length)) for length in layers)


def check_options(what: str, options: tuple[int, ...]) -> None:
    """Raises ValueError unless `options` are positive and ascend."""
    if not options or min(options) < 1 or any(b <= a for a, b in itertools.pairwise(options)):
        raise ValueError(
            f"{what} must be at least one positive number, in ascending order without repeats, got "
            f"{options}"
        )
