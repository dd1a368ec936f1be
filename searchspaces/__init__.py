"""Search spaces: one file or folder each; this folder is the registry.

`load("bignas")` imports `searchspaces/bignas` and calls its `build()`; `load("bignas:digits")`
calls `build("digits")`. A module that has presets lists them as PRESETS.
`load("package.module:object")` and `load("path/to/file.py:object")` find a space anywhere else.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, cast

from searchspaces.base import Gene, SearchSpace, nearest
from searchspaces.plugins import own
from searchspaces.plugins.registry import Registry, built, guarded

REGISTRY = Registry("searchspaces", "search space")

_MEMBERS = ("name", "genes", "published", "repair", "costs", "build_supernet", "build_subnet")


def names() -> list[str]:
    """The spaces that exist, sorted."""
    return REGISTRY.names()


def presets(name: str) -> list[str]:
    """The presets of one space, its default first; none where its module has no PRESETS.

    Raises:
        ValueError: There is no such space, or its module cannot be loaded.
    """
    return _presets(REGISTRY.module(name), name)


def load(name: str) -> SearchSpace:
    """The space called "NAME" (its default preset) or "NAME:PRESET", or of an import path.

    Raises:
        ValueError: There is no such space or preset, or its module cannot be loaded or makes
            something else.
    """
    if own_paths([name]):
        return _own(name)
    space, _, preset = name.partition(":")
    module = REGISTRY.module(space)
    known = _presets(module, space)
    if preset and preset not in known:
        raise ValueError(f"space {space!r} has no preset {preset!r}; {nearest(preset, known)}")
    chosen = preset or next(iter(known), "")
    file = Path(str(module.__file__))
    what = f"search space {space!r}"
    return _checked(
        built(module.build, {"preset": chosen} if chosen else {}, what, file), what, file
    )


def own_paths(texts: list[str]) -> list[str]:
    """Selects those of `texts` that are import paths, not names of this folder."""
    known = [*REGISTRY.names(), *REGISTRY.faults()]
    return [text for text in texts if own.is_own(text, known)]


def _own(text: str) -> SearchSpace:
    head = text.rpartition(":")[0]
    try:
        file = own.locate(text).file
    except ValueError as error:
        if head.isidentifier():  # perhaps a registered name, misspelt
            raise ValueError(
                f"no search space {head!r}; {nearest(head, names())}; nor is there a module of "
                f"your own: {error}"
            ) from None
        raise
    what = f"search space {text!r}"
    return _checked(own.instance(text, {}, what, ("repair", "costs")), what, file)


def _presets(module: ModuleType, name: str) -> list[str]:
    found: Any = getattr(module, "PRESETS", ())  # Any: whatever its author wrote
    if isinstance(found, str) or not all(
        isinstance(preset, str) for preset in (found if hasattr(found, "__iter__") else [None])
    ):
        raise ValueError(
            f"search space {name!r}: PRESETS of {module.__file__} must hold the presets' names, "
            f"got {found!r}"
        )
    return list(found)


def _checked(space: Any, what: str, file: Path) -> SearchSpace:
    """
    Raises:
        ValueError: It does not fit the contract.
    """
    missing = guarded(
        lambda: [member for member in _MEMBERS if not hasattr(space, member)], what, file
    )
    if missing:
        raise ValueError(
            f"{what}: what {file} makes, {type(space).__name__}, is no search space: it lacks "
            f"{', '.join(missing)}; "
            "searchspaces/base.py says what each is"
        )
    genes = space.genes
    if (
        not isinstance(space.name, str)
        or not isinstance(genes, tuple)
        or not genes
        or not all(isinstance(g, Gene) for g in genes)
    ):
        raise ValueError(
            f"{what}: {file} must give its space a text as name and a tuple of Gene as genes, got "
            f"{space.name!r} and {genes!r}"
        )
    if len({gene.name for gene in genes}) != len(genes):
        twice = next(
            g.name for i, g in enumerate(genes) if g.name in [other.name for other in genes[:i]]
        )
        raise ValueError(f"{what}: {file} has two genes named {twice!r}: give each its own name")
    return cast(SearchSpace, space)
