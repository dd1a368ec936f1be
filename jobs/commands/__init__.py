"""The verbs of `evoray`: one file each, with `main(arguments)`; this folder is their registry."""

from __future__ import annotations

from types import ModuleType

from searchspaces.plugins.registry import Registry

REGISTRY = Registry("jobs.commands", "command", offers="main")


def names() -> list[str]:
    """The commands that exist, sorted."""
    return REGISTRY.names()


def load(name: str) -> ModuleType:
    """The module of one command.

    Raises:
        ValueError: There is no such command, or its module cannot be loaded.
    """
    return REGISTRY.module(name)
