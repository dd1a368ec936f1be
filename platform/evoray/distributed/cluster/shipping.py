"""Sending objects of the user's own to workers: what cannot travel is said before anything
starts.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ray import cloudpickle

from searchspaces.plugins.own import folders

_INSTALLED = ("evoray", "objectives", "searchspaces", "jobs")  # wherever this program runs


def check_ships(value: Any, what: str) -> None:  # Any: the user's own object
    """
    Raises:
        ValueError: It cannot be sent to a worker.
    """
    try:
        cloudpickle.dumps(value)
    except Exception as error:  # whatever its parts raise
        raise ValueError(
            f"{what} cannot be sent to a worker ({type(error).__name__}: {error}): get files, "
            "locks, connections and models in open(), "
            "not in the constructor"
        ) from error


def ship_own_modules() -> None:
    """Makes what the user's own modules define travel whole from now on, to machines that do not
    have these files.

    Those are the modules of the current folder, the program's, and those of PYTHONPATH. A cluster
    that this program starts needs none of that: its workers have the same folders.
    """
    places = [*folders(), Path(sys.argv[0] or ".").resolve().parent]
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        file = getattr(module, "__file__", None)
        if (
            not file
            or top in ("__main__", *_INSTALLED, *sys.stdlib_module_names)
            or "site-packages" in Path(file).parts
        ):
            continue
        if any(Path(file).is_relative_to(place) for place in places):
            cloudpickle.register_pickle_by_value(module)
