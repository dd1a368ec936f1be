"""Objectives: one file each; this folder is the registry. `names()` lists them, `load(name)` imports one module.

A module offers `build(...)`, which returns an `Objective` or a `CostModel`; a job composes it with a space and data.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from searchspaces.base import nearest

_NOT_OBJECTIVES = {"base", "labelled"}


def names() -> list[str]:
    """The objective modules that exist, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_OBJECTIVES)


def load(name: str) -> ModuleType:
    """The module `objectives/NAME.py`.

    Raises:
        ValueError: There is no such objective.
    """
    if name not in names():
        raise ValueError(f"no objective {name!r}; {nearest(name, names())}")
    return importlib.import_module(f"objectives.{name}")
