"""Any network as a layer table: what it multiplies, watched while it runs once without memory or
arithmetic.

Convolutions (grouped, depthwise, transposed, one-dimensional), linear layers and products of two
activations, as in attention, become rows; normalisation, activations, pooling and additions
multiply nothing that an array of MAC units would do.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

_COLUMNS = ("K", "C", "R", "S", "OY", "OX", "stride", "count")


def lower(network: nn.Module, inputs: Sequence[int] | Sequence[Tensor]) -> dict[str, NDArray[Any]]:
    """The layers of one forward pass, in the order in which they run.

    A linear layer over t tokens is a 1x1 convolution with t output rows; a product of activations
    one such layer a head ("count"). Dilation only spreads a kernel, so R and S stay. A transposed
    convolution is the dense convolution with the same products. More than one image or window adds
    rows: weights are shared.

    Args:
        network: Network to lower, left unchanged; a copy runs in evaluation mode.
        inputs: The shape of its one input, (batch, channels, height, width) or any other; or its
            input tensors.

    Returns:
        Columns for `price`: "layer" (the module's name), "type", K, C, R, S, OY, OX, stride, count;
            (layers,) each.

    Raises:
        ValueError: A layer is none of these (three-dimensional convolutions, two strides), or there
            are none.
    """
    shadow = copy.deepcopy(network).to("meta").eval()
    given = [item.to("meta") for item in inputs if isinstance(item, Tensor)]
    if not given:
        given = [torch.empty(tuple(inputs), device="meta")]  # type: ignore[arg-type]
    watch = _Watch()
    with _named(shadow, watch), torch.no_grad(), sdpa_kernel(SDPBackend.MATH), watch:
        shadow(*given)
    if not watch.rows:
        raise ValueError(
            f"{type(network).__name__} has no convolution, linear layer or matrix product to lower"
        )
    table: dict[str, NDArray[Any]] = {
        "layer": np.array(watch.names),
        "type": np.array([row[0] for row in watch.rows]),
    }
    return table | {
        name: np.array([row[index + 1] for row in watch.rows], dtype=np.int64)
        for index, name in enumerate(_COLUMNS)
    }


def macs(table: Mapping[str, NDArray[Any]]) -> int:
    """Multiply-accumulates of a layer table, exact."""
    columns = [table[name].tolist() for name in ("K", "C", "R", "S", "OY", "OX", "count")]
    return sum(int(np.prod(row, dtype=object)) for row in zip(*columns, strict=True))


_Row = tuple[str, int, int, int, int, int, int, int, int]


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch types neither
    """Notes every multiplication that reaches torch's dispatcher, under the name of the module that
    runs.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows: list[_Row] = []
        self.names: list[str] = []
        self.modules: list[str] = [""]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # torch's own signature
        result = func(*args, **(kwargs or {}))
        row = _HANDLERS.get(func.overloadpacket)
        if row is not None:
            self.rows.append(row(self.modules[-1], result, args))
            self.names.append(self.modules[-1])
        return result


@contextmanager
def _named(network: nn.Module, watch: _Watch) -> Iterator[None]:
    def enters(name: str) -> Callable[..., None]:
        return lambda *_: watch.modules.append(name)

    handles = []
    for name, module in network.named_modules():
        handles.append(module.register_forward_pre_hook(enters(name)))
        handles.append(module.register_forward_hook(lambda *_: watch.modules.pop() and None))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _convolution(name: str, result: Tensor, args: Any) -> _Row:
    x, weight, strides, transposed, groups = args[0], args[1], args[3], args[6], args[8]
    kernel = tuple(weight.shape[2:])
    if len(kernel) not in (1, 2):
        raise ValueError(
            f"layer {name!r} is a convolution over {len(kernel)} dimensions; one and two can be "
            "lowered"
        )
    stride = 1 if transposed else max(strides)
    if not transposed and min(strides) != stride:
        raise ValueError(
            f"layer {name!r} has strides {tuple(strides)}; a layer table has one stride for rows "
            "and columns"
        )
    swept = (
        x if transposed else result
    )  # a transposed convolution multiplies once for every input place
    rows, columns = (swept.shape[2], 1) if len(kernel) == 1 else swept.shape[2:]
    R, S = (kernel[0], 1) if len(kernel) == 1 else kernel
    into, out = x.shape[1] // groups, result.shape[1] // groups
    if groups > 1 and into == 1:
        return "DWCONV", 1, x.shape[1], R, S, x.shape[0] * rows, columns, stride, out
    return "CONV", out, into, R, S, x.shape[0] * rows, columns, stride, groups


def _product(rows: int, inner: int, columns: int, count: int) -> _Row:
    return "CONV", columns, inner, 1, 1, rows, 1, 1, count


def _mm(name: str, result: Tensor, args: Any) -> _Row:
    return _product(args[0].shape[0], args[0].shape[1], args[1].shape[1], 1)


def _addmm(name: str, result: Tensor, args: Any) -> _Row:
    return _mm(name, result, args[1:])


def _bmm(name: str, result: Tensor, args: Any) -> _Row:
    return _product(args[0].shape[1], args[0].shape[2], args[1].shape[2], args[0].shape[0])


def _baddbmm(name: str, result: Tensor, args: Any) -> _Row:
    return _bmm(name, result, args[1:])


_aten = torch.ops.aten
_HANDLERS: dict[Any, Callable[[str, Tensor, Any], _Row]] = {
    _aten.convolution: _convolution,
    _aten.mm: _mm,
    _aten.addmm: _addmm,
    _aten.bmm: _bmm,
    _aten.baddbmm: _baddbmm,
}
