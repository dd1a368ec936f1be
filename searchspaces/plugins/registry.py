"""A folder of plug-ins as a registry: which modules it has, and loading one, so that a bad file
spoils nothing but itself.

A module is a plug-in when it offers what the registry asks for, such as `build`. Others stand
beside plug-ins by their form, so that no list names them: `base.py` (the contract), names that
begin with an underscore, folders (of parts), and programs, which define `main`. Any other file is a
plug-in that somebody has not finished, and is named.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from searchspaces.base import nearest

T = TypeVar("T")

_UNREADABLE = (
    SyntaxError,
    ValueError,
    OSError,
    RecursionError,
    MemoryError,
)  # ValueError: null bytes


@dataclass(frozen=True)
class Registry:
    """The modules of one package that offer something by name.

    Attributes:
        package: Import name of the package.
        kind: A word for one module: "search space".
        offers: The name that a module must define.
    """

    package: str
    kind: str
    offers: str = "build"

    def names(self) -> list[str]:
        """Modules that offer it, sorted; read, never imported."""
        return [name for name, file in self._files() if self.offers in _read(file).names]

    def abouts(self) -> dict[str, str]:
        """Names of the modules with the first paragraph of each docstring; read, not imported."""
        found = {name: _read(file) for name, file in self._files()}
        return {name: read.about for name, read in found.items() if self.offers in read.names}

    def faults(self) -> dict[str, str]:
        """Files that should offer it and do not, each with what is wrong with it, in one line."""
        return {
            name: f"{file}{_read(file).fault or f': it offers no {self.offers}'}"
            for name, file in self._files()
            if self.offers not in _read(file).names and not _stands_beside(file)
        }

    def check(self, name: str) -> None:
        """Refuses a name that nothing has.

        Raises:
            ValueError: There is no such module, or it cannot be read.
        """
        faults = self.faults()
        if name in faults:
            raise ValueError(
                f"{self.kind} {name!r} cannot be loaded: {faults[name]}; mend that file"
            )
        if name not in self.names():
            left_out = f" (left out: {'; '.join(faults.values())})" if faults else ""
            beside = dict(self._files()).get(name)
            without = f" ({beside} offers no {self.offers})" if beside else ""
            raise ValueError(
                f"no {self.kind} {name!r}; {nearest(name, self.names())}{without}{left_out}"
            )

    def module(self, name: str) -> ModuleType:
        """The module called `name`, imported.

        Raises:
            ValueError: There is no such module, or it cannot be imported; names file and line.
        """
        self.check(name)
        file = dict(self._files())[name]
        return guarded(
            lambda: importlib.import_module(f"{self.package}.{name}"), f"{self.kind} {name!r}", file
        )

    def _files(self) -> Iterator[tuple[str, Path]]:
        for found in sorted(
            pkgutil.iter_modules(importlib.import_module(self.package).__path__),
            key=lambda m: m.name,
        ):
            if found.name != "base" and not found.name.startswith("_"):
                place = Path(found.module_finder.path) / found.name  # type: ignore[union-attr]  # a file finder
                yield (
                    found.name,
                    place / "__init__.py" if found.ispkg else place.with_name(f"{found.name}.py"),
                )


def guarded(
    work: Callable[[], T], what: str, file: Path, *, passes: tuple[type[Exception], ...] = ()
) -> T:
    """Runs code of a plug-in; its errors name the file and the line.

    Args:
        work: The code.
        what: Subject of the message: "search space 'mine'".
        file: File of the plug-in.
        passes: Exceptions that say themselves what the user has to mend.

    Raises:
        ValueError: It raised anything else; the cause is kept.
    """
    try:
        return work()
    except passes:
        raise
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"{what} cannot be loaded: {_place(error, file)}: {_said(error)}; mend that file"
        ) from error


def built(
    build: Callable[..., Any], offered: Mapping[str, Any], what: str, file: Path
) -> Any:  # Any: the user's own object
    """The result of `build`, which is given those of the `offered` things that it has parameters
    for.

    Raises:
        ValueError: It wants something else, or fails.
    """
    try:
        parameters = inspect.signature(build).parameters.values()
    except (TypeError, ValueError):  # a class of C
        parameters = ()  # type: ignore[assignment]
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.name in offered and parameter.kind is not parameter.POSITIONAL_ONLY:
            named[parameter.name] = offered[parameter.name]
        elif parameter.name in offered:
            positional.append(offered[parameter.name])
        elif parameter.default is parameter.empty:
            raise ValueError(
                f"{what} cannot be built: {file} asks for {parameter.name!r}, and evoray hands "
                f"over {', '.join(offered) or 'nothing'}: "
                "name a parameter so, or give it a default"
            )
    return guarded(lambda: build(*positional, **named), what, file, passes=(ValueError, OSError))


def _place(error: BaseException, file: Path) -> str:
    """File and line that an error points to: in `file` where it comes from there."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == file]
    return f"{file}, line {frames[-1].lineno}" if frames else str(file)


def _said(error: BaseException) -> str:
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


@dataclass(frozen=True)
class _Reading:
    """One file, read and not imported.

    Attributes:
        names: Names that it defines.
        fault: The end of a sentence that begins with the file; "" where it could be read.
        about: The first paragraph of its docstring, in one line.
    """

    names: Set[str] = frozenset()
    fault: str = ""
    about: str = ""


def _stands_beside(file: Path) -> bool:
    """A folder of parts, or a program; one that cannot be read is neither."""
    reading = _read(file)
    return not reading.fault and (file.name == "__init__.py" or "main" in reading.names)


def _read(file: Path) -> _Reading:
    try:
        stamp = file.stat()
    except OSError as error:  # a link to nothing
        return _Reading(fault=f": {_said(error)}")
    return _parsed(file, (stamp.st_mtime_ns, stamp.st_size))


@lru_cache(maxsize=1024)
def _parsed(file: Path, stamp: tuple[int, int]) -> _Reading:
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except _UNREADABLE as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        return _Reading(fault=f"{line}: {_said(error)}")
    about = " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())
    return _Reading(names=frozenset(_defined(tree.body)), about=about)


def _defined(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Names that a module's statements define, also within if, try and with."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (
                name.id
                for target in targets
                for name in ast.walk(target)
                if isinstance(name, ast.Name)
            )
        else:
            inner = [getattr(node, part, []) for part in ("body", "orelse", "finalbody")]
            inner += [handler.body for handler in getattr(node, "handlers", [])]
            for statements in inner:
                yield from _defined(statements)
