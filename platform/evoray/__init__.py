"""evoray: evolutionary search for neural networks, and for the chips they run on, from a laptop to
a Ray cluster.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evoray.api import Result, search
    from evoray.engine.schedule import Migration
    from evoray.evaluation.successive_halving import Halving
    from evoray.problem.problem import Constraint

__all__ = ["Constraint", "Halving", "Migration", "Result", "search"]

_HOMES = {
    "Constraint": "evoray.problem.problem",
    "Halving": "evoray.evaluation.successive_halving",
    "Migration": "evoray.engine.schedule",
    "Result": "evoray.api",
    "search": "evoray.api",
}


def __getattr__(
    name: str,
    # Any: whatever stands behind the name; found on first use, so that `import
    # evoray.records.records`
    # is light
) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'evoray' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
