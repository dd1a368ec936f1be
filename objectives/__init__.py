"""Objectives: one file each; this folder is the registry. `names()` lists them, `load(name)`
imports one module.

A module offers `build(...)`, which returns an objective (one value or several) or a `CostModel`; a
job composes it with a space and data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from objectives.base import CostModel, Measurable, Multivalued, is_measured
from searchspaces.plugins.own import instance, is_own, locate
from searchspaces.plugins.registry import Registry, built

REGISTRY = Registry("objectives", "objective")

_MEASURED, _COMPUTED = ("needs", "open", "measure"), ("evaluate",)


def names() -> list[str]:
    """The objective modules that exist, sorted."""
    return REGISTRY.names()


def load(name: str) -> ModuleType:
    """The module `objectives/NAME.py`.

    Raises:
        ValueError: There is no such objective, or its module cannot be loaded.
    """
    return REGISTRY.module(name)


def build(name: str, offered: Mapping[str, Any]) -> Measurable | CostModel:
    """The objective or cost model of a module of this folder, or of an import path such as
    "package.module:object".

    Args:
        name: The module or the import path.
        offered: Objects for the parameters of these names: of `build`, or of the class or function
            at the import path.

    Raises:
        ValueError: There is none, it cannot be loaded, wants something that is not offered, or
            makes something else.
    """
    what = f"objective {name!r}"
    if own_paths([name]):
        file = locate(name).file
        return _checked(instance(name, offered, what, ("measure", "evaluate")), what, file)
    module = load(name)
    file = Path(str(module.__file__))
    return _checked(built(module.build, offered, what, file), what, file)


def own_paths(texts: list[str]) -> list[str]:
    """Selects those of `texts` that are import paths, not names of this folder."""
    return [text for text in texts if is_own(text, ())]


def _checked(objective: Any, what: str, file: Path) -> Measurable | CostModel:
    kind = _MEASURED if is_measured(objective) else _COMPUTED
    value = () if isinstance(objective, Multivalued) else ("unit", "goal")
    missing = [member for member in ("name", *value, *kind) if not hasattr(objective, member)]
    if missing:
        raise ValueError(
            f"{what}: what {file} makes, {type(objective).__name__}, is no objective: it lacks "
            f"{', '.join(missing)}; "
            "objectives/base.py says what each is"
        )
    return cast("Measurable | CostModel", objective)
