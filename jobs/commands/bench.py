"""Runs one of the project's benchmarks and prints its numbers as one JSON line."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence

from jobs.terminal.errors import user_input
from searchspaces.base import nearest


def main(arguments: Sequence[str]) -> None:
    """Lists the benchmarks (`evoray bench`), or runs one (`evoray bench NAME`, then its own
    options).
    """
    name = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    with user_input():
        known = sorted(
            found.name
            for found in pkgutil.iter_modules(importlib.import_module("benchmarks").__path__)
            if not found.ispkg
        )
        if arguments and not name:
            raise ValueError(
                f"evoray bench takes the name of a benchmark first, got {arguments[0]!r}; "
                f"{nearest('', known)}"
            )
        if name and name not in known:
            raise ValueError(f"no benchmark {name!r}; {nearest(name, known)}")
    if not name:
        print("\n".join(known))
        return
    module = importlib.import_module(f"benchmarks.{name}")
    sys.argv = [f"evoray bench {name}", *arguments[1:]]
    module.main()
