"""Operators that a network runs, with their shapes: the rows of a latency table."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Notes every operator that computes something; views are free."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # Any: torch's own signature
        kwargs = kwargs or {}
        returns = func._schema.returns
        is_view = any(r.alias_info is not None and not r.alias_info.is_write for r in returns)
        if not is_view:
            told = {
                "name": str(func),
                "arguments": _told(args),
                "keywords": {k: _told(v) for k, v in kwargs.items() if k != "device"},
            }
            self.found[json.dumps(told, sort_keys=True)] += 1
        return func(*args, **kwargs)


def operators_of(network: nn.Module, x_bchw: torch.Tensor) -> Counter[str]:
    """Counts how often a forward pass in eval mode runs each operator; an operator is its JSON, as
    `time_operators` reads it.
    """
    network.eval()
    recorder = _Recorder()
    with torch.inference_mode(), recorder:
        network(x_bchw)
    return recorder.found


def _told(value: Any) -> Any:  # Any: whatever operators take
    if isinstance(value, torch.Tensor):
        return {
            "tensor": {
                "shape": list(value.shape),
                "stride": list(value.stride()),
                "dtype": str(value.dtype).removeprefix("torch."),
            }
        }
    if isinstance(value, (list, tuple)):
        return [_told(item) for item in value]
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if isinstance(value, (torch.device, torch.layout, torch.memory_format)):
        return None
    return value
