"""Layers whose weight is divided by its largest singular value (Miyato et al. 2018,
arXiv:1802.05957).

The estimate's two vectors are buffers of the layer. They take one power iteration a forward pass in
training mode while gradients are recorded, and rest otherwise: measuring a network changes nothing
in it, and an edge that a pass does not run keeps its own. torch's parametrization also moves them
without gradients, and an extracted network would then differ from its supernet's path.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_START_ITERATIONS = 15  # as in torch's own
_EPS = 1e-12


class _Spectral(nn.Module):
    weight: Tensor
    u: Tensor  # (out,) left singular vector
    v: Tensor  # (rest,) right singular vector

    def _register(self) -> None:
        matrix = self.weight.flatten(1)
        self.register_buffer("u", torch.zeros(matrix.shape[0], device=matrix.device))
        self.register_buffer("v", torch.zeros(matrix.shape[1], device=matrix.device))

    @torch.no_grad()
    def restart(self) -> None:
        """Estimates the singular vectors of the present weight afresh, from torch's global
        generator.
        """
        F.normalize(torch.randn_like(self.u), dim=0, eps=_EPS, out=self.u)
        for _ in range(_START_ITERATIONS):
            self._advance()

    @torch.no_grad()
    def _advance(self) -> None:
        matrix = self.weight.flatten(1)
        self.v.copy_(F.normalize(matrix.T @ self.u, dim=0, eps=_EPS))
        self.u.copy_(F.normalize(matrix @ self.v, dim=0, eps=_EPS))

    def normalised(self) -> Tensor:
        """The weight of this forward pass."""
        if self.training and torch.is_grad_enabled():
            self._advance()
        u, v = self.u.clone(), self.v.clone()  # a second pass before the backward moves the buffers
        return self.weight / torch.dot(u, self.weight.flatten(1) @ v)


class SpectralConv2d(nn.Conv2d, _Spectral):
    """A convolution with a spectrally normalised weight."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            bias=bias,
        )
        self._register()

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Convolves as torch does, with the normalised weights."""
        return F.conv2d(
            x_bchw, self.normalised(), self.bias, self.stride, self.padding, self.dilation
        )


class SpectralLinear(nn.Linear, _Spectral):
    """A linear layer with a spectrally normalised weight."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self._register()

    def forward(self, x: Tensor) -> Tensor:
        """Multiplies as torch does, with the normalised weights."""
        return F.linear(x, self.normalised(), self.bias)


def initialise(network: nn.Module) -> None:
    """Draws weights as the released code: convolutions Xavier-uniform, batch norms N(1, 0.02) with
    shift 0, the rest as torch does.

    Written for networks that may come from the meta device, so every parameter is drawn here.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.ConvTranspose2d):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if (
            isinstance(weight, nn.Parameter) and isinstance(bias, nn.Parameter) and weight.ndim == 1
        ):  # batch norm, elastic or not
            nn.init.normal_(weight, 1.0, 0.02)
            nn.init.zeros_(bias)
    for module in network.modules():
        if isinstance(module, _Spectral):
            module.restart()
