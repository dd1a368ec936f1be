"""Refuses what no option can be, whatever it is called: numbers that are not finite, negative
counts, more than a machine could ever hold.
"""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

from evoray.records.run_folder import check_local

_MOST = 1_000_000_000  # of anything that is counted
_TRAINERS = ("train_workers", "workers")  # that compute all the time
_MOST_SHARDS_PER_CORE = 32  # each is a process


def check_values(value: Any, name: str = "") -> None:  # Any: a configuration, or a part of one
    """Looks at every number of a configuration, whatever its class has checked already.

    Raises:
        ValueError: One is not finite, a negative count, or too large; names the option.
    """
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            check_values(getattr(value, field.name), f"{name}.{field.name}".strip("."))
    elif isinstance(value, tuple | list):
        for item in value:
            check_values(item, name)
    elif isinstance(value, os.PathLike):
        check_local(value, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value}")
    elif isinstance(value, int) and not isinstance(value, bool):
        _check_count(value, name)


def check_machine(config: Any, address: str = "") -> None:  # Any: a configuration
    """Checks that this machine is large enough for what it is to run; a cluster that is joined may
    grow and is not checked.

    Raises:
        ValueError: More training workers are wanted than it has cores, or more other processes than
            it can hold; names the option.
    """
    if address not in ("", "local") or (not address and os.environ.get("RAY_ADDRESS")):
        return
    cores = os.cpu_count() or 1
    for name, count in _counts(config):
        kind = name.rpartition(".")[2]
        if kind in _TRAINERS and count > cores:
            raise ValueError(
                f"{name} must be at most {cores}, the cores of this machine, got {count}: take "
                "fewer, or join a larger cluster with --cluster.address"
            )
        is_process = kind == "shards" or kind.endswith("_workers")
        if is_process and count > _MOST_SHARDS_PER_CORE * cores:
            raise ValueError(
                f"{name} must be at most {_MOST_SHARDS_PER_CORE * cores} on a machine of {cores} "
                f"cores, for each is a process, got {count}: "
                "take fewer, or join a larger cluster with --cluster.address"
            )


def _check_count(value: int, name: str) -> None:
    if name.rpartition(".")[2] == "seed":
        if abs(value) >= 2**63:
            raise ValueError(f"{name} must fit into 64 bits, got {value}")
    elif value < 0:
        raise ValueError(f"{name} must not be negative, got {value}")
    elif value > _MOST:
        raise ValueError(f"{name} must be at most {_MOST:,}, got {value}")


def _counts(value: Any, name: str = "") -> list[tuple[str, int]]:
    if dataclasses.is_dataclass(value):
        parts = [
            _counts(getattr(value, f.name), f"{name}.{f.name}".strip("."))
            for f in dataclasses.fields(value)
        ]
        return [pair for part in parts for pair in part]
    return [(name, value)] if isinstance(value, int) and not isinstance(value, bool) else []
