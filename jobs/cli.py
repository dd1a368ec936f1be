"""The command line: `evoray COMMAND ...`. Finds the command's file in `jobs/commands/` and runs its
`main`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from jobs import commands
from jobs.terminal.console import set_up_streams
from jobs.terminal.errors import complain, user_input, warn_of
from jobs.terminal.stopping import stoppable


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command; exits with 0, with 2 for bad input, with 1 when a run could not go on, with
    130 or 143 when told to stop.
    """
    with stoppable():
        set_up_streams()
        words = list(sys.argv[1:] if arguments is None else arguments)
        if not words or words[0] in ("-h", "--help"):
            print(_usage())
            sys.exit(0 if words else 2)
        with user_input():
            command = commands.load(words[0])
        try:
            command.main(words[1:])
        except (RuntimeError, OSError) as error:  # OSError: the disk is full, the cluster is gone
            complain(error)
            sys.exit(1)


def _usage() -> str:
    """The commands; their files are read, not imported, for some of them import torch and Ray."""
    warn_of(commands.REGISTRY)
    abouts = commands.REGISTRY.abouts()
    lines = [f"  {name:<9} {about}" for name, about in abouts.items()]
    return "\n".join(["usage: evoray COMMAND ... (each has --help)", "", *lines])


if __name__ == "__main__":
    main()
