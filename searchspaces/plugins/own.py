"""Objects of the user's own, named by import path: "package.module:object", or
"path/to/file.py:object".

A module is looked for in the current folder, in the folders of PYTHONPATH, and among what is
installed. A run folder may name such an object but never brings it: `admitted` says which of the
names in a job.json are followed.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from searchspaces.plugins.registry import built, guarded


@dataclass(frozen=True)
class Own:
    """The place of an object.

    Attributes:
        text: Text that the user wrote.
        folder: Folder from where its module is imported.
        file: File of the module.
        module: Import name of the module.
        attribute: Name in the module; dotted where the object is inside another.
    """

    text: str
    folder: Path
    file: Path
    module: str
    attribute: str

    @property
    def absolute(self) -> str:
        """The same from any folder, for a file; a module's name stays as it is."""
        return f"{self.file}:{self.attribute}" if _is_file(self.text) else self.text


def is_own(text: str, known: Sequence[str]) -> bool:
    """Tells an import path from a name of a registry, which may be "NAME:PRESET"."""
    head, colon, attribute = text.rpartition(":")
    return bool(colon and head and attribute) and head.partition(":")[0] not in known


def folders() -> list[Path]:
    """The user's own: the current folder, then those of PYTHONPATH."""
    named = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return list(dict.fromkeys(Path(part).resolve() for part in (".", *named)))


def locate(text: str) -> Own:
    """Finds the object of this import path; nothing is executed.

    Raises:
        ValueError: There is no such file or module, or the text is no import path.
    """
    head, _, attribute = text.rpartition(":")
    if not all(part.isidentifier() for part in attribute.split(".")):
        raise ValueError(
            f"{text!r} is no import path: write package.module:object or path/to/file.py:object"
        )
    top = Path(head).stem if _is_file(text) else head.partition(".")[0]
    if top in sys.stdlib_module_names or not top.isidentifier():
        raise ValueError(
            f"{text!r}: {top!r} is the name of a module of Python itself, or no name that can be "
            "imported: rename the file"
        )
    if _is_file(text):
        file = Path(head).expanduser().resolve()
        if not file.is_file():
            raise ValueError(f"{text!r}: there is no file {file}")
        found = Own(text, file.parent, file, file.stem, attribute)
    else:
        if not all(part.isidentifier() for part in head.split(".")):
            raise ValueError(
                f"{text!r} is no import path: write package.module:object or path/to/file.py:object"
            )
        searched = folders()
        places = (_below(folder, head.split("."), folder) for folder in searched)
        place = next((found for found in places if found), None) or _installed(head)
        if place is None:
            looked = ", ".join(map(str, searched))
            raise ValueError(
                f"{text!r}: there is no module {head!r}; looked in {looked} and among what is "
                "installed: "
                "go to its folder, put that on PYTHONPATH, or write path/to/file.py:object"
            )
        found = Own(text, *place, head, attribute)
    return found


def load(found: Own, what: str) -> Any:  # Any: the user's own object
    """The object, as it stands in its module.

    Raises:
        ValueError: Its module cannot be imported, or has no such object.
    """
    module = _imported(found, what)
    value: Any = module
    for name in found.attribute.split("."):
        if not hasattr(value, name):
            defined = [
                n
                for n, v in vars(module).items()
                if getattr(v, "__module__", None) == module.__name__ and not n.startswith("_")
            ]
            raise ValueError(
                f"{what}: {found.file} has no {found.attribute!r}; it defines "
                f"{', '.join(defined) or 'nothing'}"
            )
        value = getattr(value, name)
    return value


def instance(
    text: str, offered: Mapping[str, Any], what: str, methods: Sequence[str]
) -> Any:  # Any: the user's own object
    """An instance: the object itself where it has one of these methods, else what the class or
    function makes of `offered`.

    Raises:
        ValueError: It is not there, cannot be loaded, or makes something else.
    """
    found = locate(text)
    value = load(found, what)
    is_one = guarded(
        lambda: not inspect.isclass(value) and any(hasattr(value, method) for method in methods),
        what,
        found.file,
    )
    if is_one:
        return value
    if not callable(value):
        shown = guarded(lambda: f"{type(value).__name__} {value!r:.200}", what, found.file)
        raise ValueError(
            f"{what}: {found.file} holds {shown} there, which is neither one nor builds one"
        )
    return built(value, offered, what, found.file)


def digest(file: Path) -> str:
    """SHA-256 of a module's source."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def recorded(texts: Sequence[str]) -> dict[str, dict[str, str]]:
    """Describes objects for job.json: by their text the file and its digest."""
    found = [locate(text) for text in texts]
    return {one.text: {"file": str(one.file), "sha256": digest(one.file)} for one in found}


def admitted(texts: Sequence[str], known: Any, given: Sequence[str], run: Path) -> dict[str, str]:
    """Maps each text of a run's job.json to the import path that is followed.

    A run folder may be somebody else's. Its names are followed into the current folder and those of
    PYTHONPATH only, never into the run folder, and only to a file that is the one the run was
    started with; what the user gives again is followed anywhere.

    Args:
        texts: The import paths in its configuration.
        known: `recorded` of the time when the run was started, as job.json has it.
        given: Import paths from the command line; one stands for the text with the same module name
            and object.
        run: The run folder.

    Raises:
        ValueError: One of them is not followed; says where it was looked for and what to do.
    """
    unused = list(given)
    found: dict[str, str] = {}
    for text in texts:
        again = next((path for path in given if _stem(path) == _stem(text)), None)
        if again is None:
            found[text] = _unchanged(
                text, known.get(text) if isinstance(known, dict) else None, run
            )
        else:
            found[text] = locate(again).absolute
            unused = [path for path in unused if path != again]
    if unused:
        raise ValueError(
            f"--own {unused[0]!r} is not of run {run}: it has "
            f"{', '.join(texts) or 'no objects of your own'}"
        )
    return found


def replaced(value: Any, texts: Mapping[str, str]) -> Any:  # Any: JSON
    """A configuration with these texts instead of those."""
    if isinstance(value, dict):
        return {name: replaced(part, texts) for name, part in value.items()}
    if isinstance(value, list):
        return [replaced(part, texts) for part in value]
    return texts.get(value, value) if isinstance(value, str) else value


def _unchanged(text: str, known: Any, run: Path) -> str:  # Any: JSON of a stranger
    before = Path(str(known["file"])) if isinstance(known, dict) and "file" in known else None
    head, _, attribute = text.rpartition(":")
    if _is_file(text):
        candidates = [before or Path(head)]
        places = [
            c.resolve()
            for c in candidates
            if c.is_file() and any(c.resolve().is_relative_to(f) for f in folders())
        ]
    else:
        places = [
            place[1] for folder in folders() if (place := _below(folder, head.split("."), folder))
        ]
    name = f"{before or f'FOLDER/{_stem(text)[0]}.py'}:{attribute}"
    advice = (
        "go to its folder or put that on PYTHONPATH; or, if you trust that code, name it again: "
        f"--own {name}"
    )
    if not places:
        looked = ", ".join(map(str, folders()))
        was = f"; it was {before}" if before else ""
        raise ValueError(f"run {run} needs {text!r}, which is not in {looked}{was}: {advice}")
    if places[0].is_relative_to(run.resolve()):
        raise ValueError(
            f"run {run} needs {text!r}, and {places[0]} lies in the run folder, from which nothing "
            f"is executed: {advice}"
        )
    if before is None or digest(places[0]) != known.get("sha256"):
        raise ValueError(
            f"run {run} needs {text!r}, and {places[0]} is not as it was when the run was started: "
            "restore it, start a new run, or, "
            f"if it means the same, name it again: --own {places[0]}:{attribute}"
        )
    return f"{places[0]}:{attribute}" if _is_file(text) else text


def _imported(found: Own, what: str) -> ModuleType:
    """Imports the module; its folder comes first meanwhile, and stays for what the module imports
    later.
    """
    folder = str(found.folder)
    sys.path.insert(0, folder)
    try:
        module = guarded(lambda: importlib.import_module(found.module), what, found.file)
    finally:
        with suppress(ValueError):  # the module itself has taken it away
            sys.path.remove(folder)
    if folder not in sys.path:
        sys.path.append(folder)
    if (
        found.folder not in folders()
    ):  # processes that this one starts look there too: the workers of a local cluster
        os.environ["PYTHONPATH"] = os.pathsep.join(
            [*filter(None, [os.environ.get("PYTHONPATH")]), folder]
        )
    there = getattr(module, "__file__", None)
    if there is None or Path(there).resolve() != found.file.resolve():
        raise ValueError(
            f"{what}: the module name {found.module!r} of {found.file} is taken by {there}: rename "
            "yours"
        )
    return module


def _is_file(text: str) -> bool:
    head = text.rpartition(":")[0]
    return head.endswith(".py") or "/" in head or os.sep in head


def _stem(text: str) -> tuple[str, str]:
    head, _, attribute = text.rpartition(":")
    return (Path(head).stem if _is_file(text) else head.rpartition(".")[2]), attribute


def _below(place: Path, parts: Sequence[str], root: Path) -> tuple[Path, Path] | None:
    """The root with the file of a module below `place`."""
    path = place.joinpath(*parts)
    return next(((root, f.resolve()) for f in _sources(path) if f.is_file()), None)


def _sources(path: Path) -> Iterator[Path]:
    yield path / "__init__.py"
    yield path.with_name(f"{path.name}.py")


def _installed(module: str) -> tuple[Path, Path] | None:
    """The same for what is installed; no package is imported for it."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return (
            (Path(spec.origin).parent, Path(spec.origin).resolve())
            if spec.origin and spec.origin.endswith(".py")
            else None
        )
    inside = (
        _below(Path(place), rest, Path(place).parent)
        for place in spec.submodule_search_locations or ()
    )
    return next((found for found in inside if found), None)
