"""Runs one of the project's benchmarks and prints its numbers as one JSON line."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from jobs.terminal.errors import user_input
from searchspaces.base import nearest

_FOLDER = Path(__file__).resolve().parents[2] / "tests" / "benchmarks"


def main(arguments: Sequence[str]) -> None:
    """`evoray bench` lists the benchmarks, `evoray bench NAME [its own options]` runs one; needs the source tree."""
    name = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    with user_input():
        if not _FOLDER.is_dir():
            raise FileNotFoundError(
                f"benchmarks are in the source tree, not in the installed package: {_FOLDER} does not exist; clone the repository"
            )
        known = sorted(f.stem for f in _FOLDER.glob("*.py") if not f.stem.startswith("_"))
        if arguments and not name:
            raise ValueError(f"evoray bench takes the name of a benchmark first, got {arguments[0]!r}; {nearest('', known)}")
        if name and name not in known:
            raise ValueError(f"no benchmark {name!r}; {nearest(name, known)}")
    if not name:
        print("\n".join(known))
        return
    spec = importlib.util.spec_from_file_location(f"tests.benchmarks.{name}", _FOLDER / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{_FOLDER / name}.py cannot be loaded")
    sys.path.insert(0, str(_FOLDER.parents[1]))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look a class's module up there
    spec.loader.exec_module(module)
    sys.argv = [f"evoray bench {name}", *arguments[1:]]
    module.main()
