"""Programs that bring spaces, data, objectives, training and search together. Each file here is a
job: `evoray run NAME`.

A job module offers `PRESETS`, functions by name that return a configuration (the first is the
default); `PIPELINE`, the name of the module that carries it out, in which a
jobs.pipelines.base.Pipeline has that name; and `main()`. `commands/` holds the other verbs of the
command line, `pipelines/` what jobs go through, `terminal/` what people see.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from searchspaces.plugins.registry import Registry

if TYPE_CHECKING:  # it imports ray, which some commands import later or never
    from jobs.pipelines.base import Pipeline

REGISTRY = Registry("jobs", "job", offers="PRESETS")


def names() -> list[str]:
    """The jobs that exist, sorted."""
    return REGISTRY.names()


def check(name: str) -> None:
    """
    Raises:
        ValueError: There is no such job.
    """
    REGISTRY.check(name)


def load(name: str) -> ModuleType:
    """The module of one job.

    Raises:
        ValueError: There is no such job.
    """
    return REGISTRY.module(name)


def pipeline(name: str) -> Pipeline[Any, Any]:  # Any: the job's configuration and its objects
    """The pipeline of a job.

    Raises:
        ValueError: There is no such job.
    """
    found: Pipeline[Any, Any] = importlib.import_module(load(name).PIPELINE).PIPELINE
    return found
