"""Sending objects of the user's own to workers: what cannot travel is said before anything starts."""

from __future__ import annotations

from typing import Any

from ray import cloudpickle


def check_ships(value: Any, what: str) -> None:  # Any: the user's own object
    """
    Raises:
        ValueError: It cannot be sent to a worker.
    """
    try:
        cloudpickle.dumps(value)
    except Exception as error:  # whatever its parts raise
        raise ValueError(
            f"{what} cannot be sent to a worker ({type(error).__name__}: {error}): get files, locks, connections and models in open(), "
            "not in the constructor"
        ) from error
