"""Reading a configuration from the command line: tyro's parser, a mistake told in one line."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import tyro

T = TypeVar("T")

_FRAME = re.compile(r"[─│╭╮╰╯┌┐└┘|]|-{3,}")


def parse(kind: type[T], default: T, arguments: Sequence[str], *, prog: str, description: str) -> T:
    """The configuration that `arguments` make of `default`, every path in it absolute; --help prints and exits as usual.

    Raises:
        ValueError: An option is unknown or its value impossible; one line, without tyro's frame.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            found = tyro.cli(kind, default=default, args=list(arguments), prog=prog, description=description)
            return cast(T, absolute(found))
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        words = " ".join(_FRAME.sub(" ", said.getvalue()).split())
        raise ValueError(words.removeprefix("Value error ")) from None


def absolute(value: Any) -> Any:  # Any: a configuration or a part of one, of any type
    """The same with every path absolute: who goes on with a run elsewhere finds what it was started with."""
    if isinstance(value, Path):
        return value.absolute()
    if isinstance(value, tuple):
        return tuple(absolute(one) for one in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    found = {field.name: (getattr(value, field.name), absolute(getattr(value, field.name))) for field in dataclasses.fields(value)}
    changed = {name: new for name, (old, new) in found.items() if new != old}
    return dataclasses.replace(value, **changed) if changed else value


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
