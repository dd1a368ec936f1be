"""Reading a configuration from the command line: tyro's parser, a mistake told in one line."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import tyro

from evoray.records.run_folder import check_local
from jobs.terminal.errors import user_input
from jobs.terminal.limits import check_values

T = TypeVar("T")

_FRAME = re.compile(r"[─│╭╮╰╯┌┐└┘|]|-{3,}")


def parse(
    kind: type[T],
    default: T | None,
    arguments: Sequence[str],
    *,
    prog: str,
    description: str | None = None,
) -> T:
    """The configuration that `arguments` make of `default`, or of its type's own values, every path
    in it absolute. --help prints and exits; where the type says which options are `common`, it
    prints those, and --help-all every one.

    Raises:
        ValueError: An option is unknown or its value impossible; one line, without tyro's frame.
    """
    with _in_one_line():
        start: Any = tyro.MISSING_NONPROP if default is None else default  # Any: or none
        words = ["--help" if word == "--help-all" else word for word in arguments]
        common = getattr(default, "common", ())
        if common and {"-h", "--help"} & set(arguments):
            start, words = only(default, common), ["--help"]
            description = f"{description or ''} These are {len(common)} options; --help-all: all."
        found = tyro.cli(
            type(start) if common else kind,
            default=start,
            args=words,
            prog=prog,
            description=description,
        )
    check_values(found)
    return cast(T, absolute(found))


def only(config: Any, names: Sequence[str]) -> Any:  # Any: a configuration or a part of one
    """The same configuration, of a type whose help shows the options of these dotted names alone.

    Raises:
        ValueError: It has no such option.
    """
    kind = type(config)
    hints = get_type_hints(kind, include_extras=True)
    heads = {name.partition(".")[0] for name in names}
    if unknown := heads - hints.keys():
        raise ValueError(f"{kind.__name__} has no option {', '.join(sorted(unknown))}")
    values: dict[str, Any] = {}  # Any: as the configuration, and its fields' types
    annotations: dict[str, Any] = {}
    hidden: Any = tyro.conf.Suppress
    for field in dataclasses.fields(kind):
        value = getattr(config, field.name)
        inner = [name.partition(".")[2] for name in names if name.startswith(f"{field.name}.")]
        if inner:
            value = only(value, inner)
            annotations[field.name] = type(value)
        elif field.name not in heads:
            annotations[field.name] = hidden[hints[field.name]]
        values[field.name] = value
    # Tyro reads the help of a field beside it in the source, which it finds by these names.
    source = {
        name: getattr(kind, name)
        for name in ("__module__", "__qualname__", "__doc__", "__firstlineno__")
        if hasattr(kind, name)
    }
    shown: Any = type(kind.__name__, (kind,), {**source, "__annotations__": annotations})
    return dataclasses.dataclass(frozen=True, kw_only=True)(shown)(**values)


Roots = Annotated[Mapping[str, Path], tyro.conf.Suppress, tyro.conf.Fixed]
AS_RECORDED: Mapping[str, Path] = MappingProxyType({})


def call_on_run(function: Callable[..., None], arguments: Sequence[str], *, prog: str) -> None:
    """Calls the function of a command that goes on with a run. Its parameter `roots` gets the
    folders of data that has moved: what --NAME.root says, by NAME.

    Raises:
        SystemExit: `call` raised it.
    """
    with user_input():
        words, roots = take_roots(arguments)
    call(function, words, prog=prog, given={"roots": roots})


def call(
    functions: Callable[..., None] | Mapping[str, Callable[..., None]],
    arguments: Sequence[str],
    *,
    prog: str,
    given: Mapping[str, object] = MappingProxyType({}),
) -> None:
    """Calls a command's function, or that of several which the first word names, with what
    `arguments` say, and with what is `given` besides.

    Raises:
        SystemExit: With code 2, after one line, where they say something that it does not take;
            --help exits as usual.
    """
    called: list[tuple[Callable[..., None], tuple[object, ...], dict[str, object]]] = []

    def noting(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def note(*args: object, **options: object) -> None:
            called.append((function, args, options))

        return note

    with user_input():
        with _in_one_line():
            if isinstance(functions, Mapping):
                several = {name: noting(function) for name, function in functions.items()}
                tyro.extras.subcommand_cli_from_dict(several, args=list(arguments), prog=prog)
            else:
                tyro.cli(noting(functions), args=list(arguments), prog=prog)
        function, args, options = called[0]
        for name, value in inspect.signature(function).bind(*args, **options).arguments.items():
            check_values(value, f"--{name.replace('_', '-')}")
    function(*args, **{**options, **given})


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        words = " ".join(_FRAME.sub(" ", said.getvalue()).split())
        raise ValueError(words.removeprefix("Value error ")) from None


def absolute(value: Any) -> Any:  # Any: a configuration or a part of one, of any type
    """The same with every path absolute: who goes on with a run elsewhere finds what it was started
    with.
    """
    if isinstance(value, Path):
        return value.absolute()
    if isinstance(value, tuple):
        return tuple(absolute(one) for one in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    found = {
        field.name: (getattr(value, field.name), absolute(getattr(value, field.name)))
        for field in dataclasses.fields(value)
    }
    changed = {name: new for name, (old, new) in found.items() if new != old}
    return dataclasses.replace(value, **changed) if changed else value


def take_roots(arguments: Sequence[str]) -> tuple[list[str], dict[str, Path]]:
    """The other words, and the folder of every option --NAME.root, by NAME.

    Raises:
        ValueError: One has no value, or a URI.
    """
    named = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    rest, found = take_options(arguments, [name for name in named if name.endswith(".root")])
    for name, value in found.items():
        check_local(value, name)
    return rest, {
        name.removeprefix("--").removesuffix(".root"): Path(value).absolute()
        for name, value in found.items()
    }


def take_options(
    arguments: Sequence[str], names: Sequence[str]
) -> tuple[list[str], dict[str, str]]:
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
