"""The operations that an edge of an EAGAN cell may hold, by the names and in the order of the
paper's tables, and what each costs.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

# b batch, c channels, h height, w width

NORMAL = (
    "none",
    "skip_connect",
    "conv_1x1",
    "conv_3x3",
    "conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
UP = ("nearest", "bilinear", "conv_transpose")
DOWN = ("avg_pool", "max_pool", "conv_3x3", "conv_5x5", "dil_conv_3x3", "dil_conv_5x5")
# in the place of a down-sampling operation: the cell keeps its resolution (the released code's -1)
KEEP = "keep"

Conv = Callable[..., nn.Module]  # nn.Conv2d, or one that is spectrally normalised

_KERNELS = {"conv_1x1": 1, "conv_3x3": 3, "conv_5x5": 5, "dil_conv_3x3": 3, "dil_conv_5x5": 5}


class Upsample(nn.Module):
    """Twice the side, nearest or bilinear."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x_bchw: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, 2h, 2w)."""
        return F.interpolate(x_bchw, scale_factor=2, mode=self.mode)


def normal(
    option: str, channels: int, conv: Conv, *, relu: bool = True, stride: int = 1
) -> nn.Module:
    """An edge between equal resolutions, or a strided convolution; `relu` False leaves out the
    leading activation.
    """
    if option == "skip_connect":
        return nn.Identity()
    kernel, dilation = _KERNELS[option], 2 if option.startswith("dil") else 1
    layer = conv(
        channels,
        channels,
        kernel,
        stride=stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
    )
    return nn.Sequential(nn.ReLU(), layer) if relu else layer


def up(option: str, channels: int) -> nn.Module:
    """(b, c, h, w) -> (b, c, 2h, 2w)."""
    if option == "conv_transpose":
        spread = nn.ConvTranspose2d(
            channels,
            channels,
            3,
            stride=2,
            padding=1,
            output_padding=1,
            groups=channels,
            bias=False,
        )
        return nn.Sequential(nn.ReLU(), spread, nn.Conv2d(channels, channels, 1, bias=False))
    return nn.Sequential(Upsample(option), nn.ReLU(), nn.Conv2d(channels, channels, 1))


def down(option: str, channels: int, conv: Conv) -> nn.Module:
    """(b, c, h, w) -> (b, c, h / 2, w / 2) for even sides."""
    if option == "avg_pool":
        return nn.AvgPool2d(2)
    if option == "max_pool":
        return nn.MaxPool2d(2)
    return normal(option, channels, conv, stride=2)


def normal_costs(option: str, channels: int) -> tuple[int, int]:
    """(MACs of one output pixel, parameters), also of strided convolutions; 0 for what has no
    weights.
    """
    if option not in _KERNELS:
        return 0, 0
    weights = channels**2 * _KERNELS[option] ** 2
    return weights, weights + channels


def up_costs(option: str, channels: int) -> tuple[int, int]:
    """(MACs of one input pixel, parameters)."""
    if option == "conv_transpose":
        return 9 * channels + 4 * channels**2, 9 * channels + channels**2
    return 4 * channels**2, channels**2 + channels
