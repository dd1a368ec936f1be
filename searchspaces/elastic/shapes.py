"""The shapes of elastic blocks with their exact costs: all that searching has to know of them, and
so without torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class MBConvShape:
    """One block.

    Attributes:
        in_width: Input channels.
        expanded_width: Channels of the depthwise convolution; equal to `in_width` when `expand` is
            False.
        squeeze_width: Channels inside squeeze-and-excitation; 0 for none.
        out_width: Output channels.
        kernel: Side of the depthwise kernel, odd.
        stride: 1 or 2.
        expand: Begins with a 1x1 convolution.
        shortcut: Adds the input to the output: pooled 2x2 at stride 2, by a 1x1 convolution where
            the widths differ.
    """

    in_width: int
    expanded_width: int
    squeeze_width: int
    out_width: int
    kernel: int
    stride: int = 1
    expand: bool = True
    shortcut: bool = True

    def __post_init__(self) -> None:
        if min(self.in_width, self.expanded_width, self.out_width) < 1 or self.squeeze_width < 0:
            raise ValueError(
                "an MBConv needs widths of at least 1 and a squeeze width of at least 0, got "
                f"{self}"
            )
        if self.kernel < 1 or self.kernel % 2 == 0 or self.stride not in (1, 2):
            raise ValueError(
                f"an MBConv needs an odd kernel and stride 1 or 2, got kernel {self.kernel} and "
                f"stride {self.stride}"
            )
        if not self.expand and self.expanded_width != self.in_width:
            raise ValueError(
                f"an MBConv without expansion keeps its input width, got {self.in_width} -> "
                f"{self.expanded_width}; set expand"
            )

    @property
    def shortcut_conv(self) -> bool:
        """True if the shortcut is a 1x1 convolution."""
        return self.shortcut and self.in_width != self.out_width

    @property
    def identity(self) -> bool:
        """True if the shortcut is the input itself."""
        return self.shortcut and self.in_width == self.out_width and self.stride == 1

    @property
    def params(self) -> int:
        """Weights and biases."""
        wide, squeeze = self.expanded_width, self.squeeze_width
        convs = wide * self.kernel**2 + wide * self.out_width + self.expand * self.in_width * wide
        norms = 2 * (wide + self.out_width + self.expand * wide)
        excitation = 2 * wide * squeeze + squeeze + wide if squeeze else 0
        return convs + norms + excitation + self.shortcut_conv * self.in_width * self.out_width

    def macs(self, side: int) -> int:
        """Multiply-accumulates of the convolutions, squeeze-and-excitation included, for a `side` x
        `side` input.
        """
        wide, before = self.expanded_width, side**2
        after = math.ceil(side / self.stride) ** 2
        per_output = (
            wide * self.kernel**2
            + wide * self.out_width
            + self.shortcut_conv * self.in_width * self.out_width
        )
        return (
            self.expand * self.in_width * wide * before
            + per_output * after
            + 2 * wide * self.squeeze_width
        )


@dataclass(frozen=True, kw_only=True)
class TransformerShape:
    """One layer: attention, then a feed-forward network.

    Attributes:
        width: Channels of a token; a multiple of `head_width`.
        head_width: Channels of a head's queries and keys.
        value_width: Channels of a head's values.
        hidden: Channels inside the feed-forward network.
        side: Tokens a side of the grid.
    """

    width: int
    head_width: int
    value_width: int
    hidden: int
    side: int

    def __post_init__(self) -> None:
        if (
            min(self.width, self.head_width, self.value_width, self.hidden, self.side) < 1
            or self.width % self.head_width
        ):
            raise ValueError(
                "a transformer layer needs sizes of at least 1 and a width that its heads divide, "
                f"got {self}"
            )

    @property
    def heads(self) -> int:
        """Number of attention heads."""
        return self.width // self.head_width

    @property
    def values(self) -> int:
        """Channels of all heads' values together."""
        return self.heads * self.value_width

    @property
    def params(self) -> int:
        """Weights, biases and the table of relative positions."""
        attention = (
            2 * self.width**2
            + self.width * self.values
            + 9 * self.values
            + self.values * self.width
            + self.width
        )
        feed_forward = 2 * self.width * self.hidden + self.hidden + self.width
        return attention + feed_forward + 4 * self.width + self.heads * (2 * self.side - 1) ** 2

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all linear layers, the convolution and both products of
        attention; no softmax, norms or biases.
        """
        tokens = self.side**2
        linear = tokens * (
            2 * self.width**2 + 2 * self.width * self.values + 2 * self.width * self.hidden
        )
        return (
            linear
            + 9 * tokens * self.values
            + tokens**2 * self.heads * (self.head_width + self.value_width)
        )
