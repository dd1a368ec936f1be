"""Reading a configuration from the command line: tyro's parser, a mistake told in one line."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from typing import TypeVar

import tyro

T = TypeVar("T")

_FRAME = re.compile(r"[─│╭╮╰╯┌┐└┘|]|-{3,}")


def parse(kind: type[T], default: T, arguments: Sequence[str], *, prog: str, description: str) -> T:
    """The configuration that `arguments` make of `default`; --help prints and exits as usual.

    Raises:
        ValueError: An option is unknown or its value impossible; one line, without tyro's frame.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, default=default, args=list(arguments), prog=prog, description=description)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        words = " ".join(_FRAME.sub(" ", said.getvalue()).split())
        raise ValueError(words.removeprefix("Value error ")) from None


def take_options(arguments: Sequence[str], names: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The other words, and the value of each of these options ("" where it was not given)."""
    found = dict.fromkeys(names, "")
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name not in found:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value or value.startswith("--"):
            raise ValueError(f"{name} needs a value after it")
        found[name] = value
    return rest, found
