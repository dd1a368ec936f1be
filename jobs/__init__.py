"""Programs that build_setup spaces, data, objectives, training and search. Each file here is a job:
`evoray run NAME`.

A job module offers `PRESETS`, functions by name that return a configuration (the first is the
default), and `main()`; `PIPELINE` names the module that carries it out, where that is not
`jobs.pipelines.supernet.pipeline`. Such a module has `CONFIG`, the type of the configuration, and
`build_setup`, `job_of`, `config_of`, `carry_out`; and `exported_networks` and `probing` for the
commands export and trust. `commands/` holds the other verbs of the command line, `supernet/` what
jobs that train a supernet share, `gan/` what finds generators and discriminators, `cosearch/` what
searches networks with the chip that runs them, `terminal/` what people see.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from searchspaces.registry import Registry

_PARTS = frozenset({"cli", "commands", "cosearch", "datasets", "gan", "supernet", "terminal"})
REGISTRY = Registry("jobs", "job", offers="PRESETS", apart=_PARTS)


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


def pipeline(name: str) -> ModuleType:
    """The module that carries a job out.

    Raises:
        ValueError: There is no such job.
    """
    return importlib.import_module(
        getattr(load(name), "PIPELINE", "jobs.pipelines.supernet.pipeline")
    )
