"""One way to write a value as plain data: what numpy, tuples, enums and paths become in job.json,
and so after reading it again.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np

_BIGGEST = 2**63 - 1  # what 64-bit integers, seeds of torch and Parquet columns hold


def plain(value: Any, name: str) -> Any:  # Any: whatever a user hands in, and JSON
    """`value` as JSON holds it: reading the JSON gives an equal value, so that the same call is
    known again.

    Args:
        value: Numbers and arrays of Python and numpy, texts, enums, paths (made absolute),
            dataclasses, and what holds them.
        name: Name of the option or argument, for the error.

    Raises:
        ValueError: A number is not finite, or something in it is not plain data.
    """
    if isinstance(value, Enum):
        return plain(value.value, name)
    if value is None or isinstance(
        value, str | bool | np.bool_ | numbers.Integral | numbers.Real | np.str_
    ):
        return _scalar(value, name)
    if isinstance(value, np.ndarray):
        return plain(value.tolist(), name)
    if isinstance(value, os.PathLike):
        return os.path.abspath(os.fspath(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            f.name: plain(getattr(value, f.name), f"{name}.{f.name}")
            for f in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {_key(key, name): plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(item, name) for item in value), key=repr)
    if isinstance(value, list | tuple | range):
        return [plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    raise ValueError(
        f"{name} must be plain data (numbers, texts, and lists or tuples of them), got "
        f"{type(value).__qualname__}"
    )


def whole(value: Any, name: str, least: int | None = None) -> int:
    """An integer argument, whoever wrote it: 256, 256.0 and numpy.int64(256) are one.

    Raises:
        ValueError: It is none, below `least`, or beyond 64 bits.
    """
    number = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
    wanted = "a whole number" if least is None else f"a whole number of at least {least}"
    is_number = isinstance(number, numbers.Real) and not isinstance(number, bool | np.bool_)
    if not is_number or not math.isfinite(number) or number != int(number):
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    found = int(number)
    if least is not None and found < least:
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    if abs(found) > _BIGGEST:
        raise ValueError(f"{name} must be {wanted} and fit into 64 bits, got {value!r}")
    return found


def _scalar(value: Any, name: str) -> Any:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)


def _key(key: Any, name: str) -> str:
    if isinstance(key, str):
        return str(key)
    if isinstance(key, Enum):
        return str(key.value)
    if isinstance(key, bool | numbers.Number | np.generic):
        return str(_scalar(key, name))
    raise ValueError(f"{name} needs texts as names, got {key!r}")
