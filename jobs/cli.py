"""The command line: `evoray COMMAND ...`. Finds the command's file in `jobs/commands/` and runs its `main`."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from types import ModuleType

from jobs import commands
from jobs.terminal.errors import complain, user_input
from searchspaces.base import nearest


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; exits with 0, with 2 for bad input, with 1 when a run could not go on, with 130 when interrupted."""
    logging.basicConfig(level=logging.WARNING, format="evoray: %(message)s")
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help"):
        print(_usage())
        sys.exit(0 if words else 2)
    with user_input():
        command = _command(words[0])
    try:
        command.main(words[1:])
    except (RuntimeError, OSError) as error:  # OSError: the disk is full, the cluster is gone
        complain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        complain(KeyboardInterrupt("interrupted; `evoray resume RUN` goes on from here"))
        sys.exit(130)


def _command(name: str) -> ModuleType:
    if name not in commands.names():
        raise ValueError(f"no command {name!r}; {nearest(name, commands.names())}")
    return importlib.import_module(f"jobs.commands.{name}")


def _usage() -> str:
    lines = ["usage: evoray COMMAND ... (each has --help)", ""]
    for name in commands.names():
        about = (_command(name).__doc__ or "").strip().splitlines()[0]
        lines.append(f"  {name:<9} {about}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
