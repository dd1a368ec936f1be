"""Search spaces: one file or folder each; this folder is the registry.

`load("bignas")` imports `searchspaces/bignas.py` and calls its `build()`; `load("bignas:digits")` calls `build("digits")`.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import cast

from searchspaces.base import SearchSpace, nearest

_NOT_SPACES = {"base", "elastic", "product"}


def names() -> list[str]:
    """The spaces that exist, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_SPACES)


def presets(name: str) -> list[str]:
    """The presets of one space, its default first."""
    _check(name)
    return list(importlib.import_module(f"searchspaces.{name}").PRESETS)


def load(name: str) -> SearchSpace:
    """The space called "NAME" (its default preset) or "NAME:PRESET".

    Raises:
        ValueError: There is no such space or preset.
    """
    space, _, preset = name.partition(":")
    known = presets(space)
    if preset and preset not in known:
        raise ValueError(f"space {space!r} has no preset {preset!r}; {nearest(preset, known)}")
    module = importlib.import_module(f"searchspaces.{space}")
    return cast(SearchSpace, module.build(preset or known[0]))


def _check(name: str) -> None:
    if name not in names():
        raise ValueError(f"no search space {name!r}; {nearest(name, names())}")
