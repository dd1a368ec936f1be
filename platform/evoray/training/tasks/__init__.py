"""Tasks, the kinds of learning: one task a file; this folder is the registry.

A task is a small picklable object (`tasks.base.Task`) of its data and recipe; the worker that
trains opens it. Data that says nothing else is for classification.
"""

from __future__ import annotations

from typing import Protocol, cast, runtime_checkable

from evoray.training.config import TrainConfig
from evoray.training.tasks.base import Task
from objectives.base import DataSource
from searchspaces.plugins.registry import Registry

REGISTRY = Registry("evoray.training.tasks", "task")


@runtime_checkable
class NamesItsTask(Protocol):
    """A data source for another task than classification."""

    @property
    def task(self) -> str:
        """One of `names()`."""
        ...


def names() -> list[str]:
    """The tasks that exist, sorted."""
    return REGISTRY.names()


def name_of(source: DataSource) -> str:
    """The task that a data source is for."""
    return source.task if isinstance(source, NamesItsTask) else "classification"


def of(source: DataSource, config: TrainConfig) -> Task:
    """The task of a data source, learned by a recipe.

    Raises:
        ValueError: There is no such task, or the recipe does not fit it.
    """
    return cast(Task, REGISTRY.module(name_of(source)).build(source, config))
