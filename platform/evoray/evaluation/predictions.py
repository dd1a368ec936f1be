"""The predictions of the networks that a worker has seen last, within a bound on their memory."""

from __future__ import annotations

import dataclasses
import sys
from collections import OrderedDict
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import torch

_LIMIT_BYTES = 256 << 20


class Predictions:
    """Predictions by the text id of what they are of; where they outgrow the bound the one that was
    used longest ago goes first.
    """

    def __init__(self, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self.num_bytes = 0

    def get(self, subject: str) -> Any:  # Any: whatever an objective infers
        """The predictions, None where they are not held."""
        if subject not in self._held:
            return None
        self._held.move_to_end(subject)
        return self._held[subject][0]

    def add(self, subject: str, predictions: Any) -> None:
        """Holds predictions of something that has none; not when they alone outgrow the bound."""
        size = num_bytes(predictions)
        if size > self._limit_bytes:
            return
        while self.num_bytes + size > self._limit_bytes:
            self.num_bytes -= self._held.popitem(last=False)[1][1]
        self._held[subject] = (predictions, size)
        self.num_bytes += size

    def __len__(self) -> int:
        return len(self._held)


def num_bytes(value: Any) -> int:  # Any: whatever an objective infers
    """About how much memory a value takes: its arrays, and what its containers hold."""
    own = sys.getsizeof(value)
    if isinstance(value, torch.Tensor):
        return own + value.nbytes
    if isinstance(value, np.ndarray):
        # one that owns its memory has it in its size already
        return own + (0 if value.flags.owndata else value.nbytes)
    if isinstance(value, Mapping):
        return own + sum(num_bytes(key) + num_bytes(item) for key, item in value.items())
    if isinstance(value, list | tuple | Set):
        return own + sum(map(num_bytes, value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return own + sum(num_bytes(getattr(value, field.name)) for field in fields)
    return own + sum(map(num_bytes, getattr(value, "__dict__", {}).values()))
