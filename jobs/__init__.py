"""Programs that compose spaces, data, objectives, training and search. Each file here is a job: `evoray run NAME`.

A job module offers `PRESETS`, functions by name that return a configuration (the first is the default), and `main()`.
`commands/` holds the other verbs of the command line, `supernet/` what jobs that train a supernet share, `terminal/` what people see.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from searchspaces.base import nearest

_NOT_JOBS = {"cli", "commands", "supernet", "terminal"}


def names() -> list[str]:
    """The jobs that exist, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _NOT_JOBS)


def check(name: str) -> None:
    """
    Raises:
        ValueError: There is no such job.
    """
    if name not in names():
        raise ValueError(f"no job {name!r}; {nearest(name, names())}")


def load(name: str) -> ModuleType:
    """The module of one job.

    Raises:
        ValueError: There is no such job.
    """
    check(name)
    return importlib.import_module(f"jobs.{name}")
