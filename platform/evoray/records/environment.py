"""The versions and the machine of a run, as its job.json holds them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from typing import Any

_PACKAGES = (
    "evoray",
    "torch",
    "torchvision",
    "ray",
    "numpy",
    "pyarrow",
    "moocore",
    "pymoo",
    "optuna",
    "scikit-learn",
)


def surroundings() -> dict[str, Any]:
    """Time, versions and machine: for the reader of a run, never read back by the search."""
    return {
        "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "versions": {name: _version(name) for name in _PACKAGES}
        | {"python": platform.python_version()},
        "machine": {
            "system": platform.platform(terse=True),
            "processor": _processor(),
            "cores": os.cpu_count() or 1,
        },
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            models = [
                line.partition(":")[2].strip() for line in lines if line.startswith("model name")
            ]
    except OSError:
        models = []
    return models[0] if models else platform.machine()
