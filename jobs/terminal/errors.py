"""A user's mistake is one line and exit code 2; anything else keeps its traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from evoray.files.visible_text import visible
from searchspaces.plugins.registry import Registry

_MISTAKES = (
    ValueError,
    OSError,
)  # OSError: not there, there already, not writable, in use, cannot be reached


@contextmanager
def user_input() -> Iterator[None]:
    """Wraps code that only reads what a user gave and writes nothing: its errors are the user's to
    mend.

    Raises:
        SystemExit: With code 2, after one line that says what was wrong.
    """
    try:
        yield
    except _MISTAKES as error:
        complain(error)
        raise SystemExit(2) from None


def complain(error: BaseException) -> None:
    """One line on standard error."""
    print(f"evoray: {visible(' '.join(str(error).split()))}", file=sys.stderr)


@contextmanager
def skipping() -> Iterator[None]:
    """Lets a listing go on past what cannot be loaded, which is one line on standard error."""
    try:
        yield
    except ValueError as error:
        complain(error)


def warn_of(registry: Registry) -> None:
    """A line on standard error for each file of a folder of plug-ins that a listing leaves out."""
    for name, fault in registry.faults().items():
        complain(ValueError(f"left out {registry.kind} {name!r}: {fault}"))
