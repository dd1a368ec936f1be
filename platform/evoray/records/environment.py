"""What a run says of itself in job.json: the problem in plain data, the versions and the
machine.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from datetime import UTC, datetime
from typing import Any

from evoray.problem.plain_values import plain
from evoray.problem.problem import Problem

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


def describe(problem: Problem) -> dict[str, Any]:
    """Space, genes, values and constraints of a problem, as job.json holds them and reports read
    them.
    """
    kinds = {
        name: "measured" if name in problem.measured_names else "cost"
        for name in problem.value_names
    }
    return {
        "space": problem.space.name,
        "genes": [
            {"name": gene.name, "options": plain(gene.options, f"options of gene {gene.name!r}")}
            for gene in problem.space.genes
        ],
        "values": [
            {
                "name": name,
                "unit": problem.unit(name),
                "goal": problem.goal(name).value,
                "kind": kind,
                "target": name in problem.targets,
            }
            for name, kind in kinds.items()
        ],
        "constraints": [
            {"name": c.name, "at_most": c.at_most, "at_least": c.at_least}
            for c in problem.constraints
        ],
    }


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
