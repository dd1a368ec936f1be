"""The verbs of `evoray`: one file each, with `main(arguments)`; this folder is their registry."""

from __future__ import annotations

import pkgutil


def names() -> list[str]:
    """The commands that exist, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))
