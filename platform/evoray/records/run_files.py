"""The small files of a run folder: what each holds, read at one place, so that nobody works with
half a file.

An essential file that is damaged ends a command with one line that names it; any other is named in
a warning and counts as not there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, FiniteFloat, StringConstraints, with_config
from typing_extensions import TypedDict

from evoray.files.checksums import sealed_json, typed, unsealed

_log = logging.getLogger(__name__)
_Object = dict[str, Any]  # JSON
_Numbers = dict[str, FiniteFloat]
_Folder = Annotated[
    str, StringConstraints(pattern=r"^\w[\w.-]*$")
]  # of one folder, never a way out of it


@with_config(strict=True)
class Value(TypedDict):
    """An objective or a cost."""

    name: str
    unit: str
    goal: Literal["minimize", "maximize"]
    target: bool
    kind: NotRequired[str]


@with_config(strict=True)
class _Gene(TypedDict):
    name: str
    options: list[Any]  # JSON


@with_config(strict=True)
class _Bound(TypedDict):
    name: str
    at_most: NotRequired[FiniteFloat | None]
    at_least: NotRequired[FiniteFloat | None]


@with_config(strict=True)
class _Data(TypedDict):
    source: str
    digest: str
    files: int
    bytes: int


@with_config(strict=True)
class Job(TypedDict):
    """job.json of any run."""

    job: str
    stages: NotRequired[list[_Folder]]
    stage: NotRequired[str]
    config: NotRequired[_Object]
    data: NotRequired[dict[str, _Data]]


@with_config(strict=True)
class Searched(Job):
    """job.json of a run that searches itself, or of a stage."""

    space: str
    values: list[Value]
    genes: list[_Gene]
    constraints: list[_Bound]
    seed: int


@with_config(strict=True)
class Line(TypedDict):
    """One line of metrics.jsonl."""

    step: int
    steps: int
    epoch: FiniteFloat
    images: int
    learning_rate: FiniteFloat
    loss: dict[str, float]
    images_per_second: FiniteFloat
    seconds: FiniteFloat


@with_config(strict=True)
class _Statistics(TypedDict):
    proposed: int
    known: int
    duplicates: int
    rejected: dict[str, int]


@with_config(strict=True)
class Snapshot(TypedDict):
    """The part of shards/generation-*.json that a report reads."""

    statistics: _Statistics


@with_config(strict=True)
class _Probe(TypedDict):
    key: str
    inherited: FiniteFloat
    inherited_without_recalibration: FiniteFloat
    stand_alone: FiniteFloat


@with_config(strict=True)
class _Named(TypedDict):
    name: str
    unit: str


@with_config(strict=True)
class _Sides(TypedDict):
    recalibrated: FiniteFloat
    without: FiniteFloat


@with_config(strict=True)
class Trust(TypedDict):
    """trust.json."""

    probes: list[_Probe]
    kendall: _Sides
    spearman: _Sides
    seconds: FiniteFloat
    objective: NotRequired[_Named]


@with_config(strict=True)
class _Picture(TypedDict):
    file: str


@with_config(strict=True)
class Pictures(TypedDict):
    """pictures.json."""

    pictures: list[_Picture]


@with_config(strict=True)
class Exported(TypedDict):
    """architecture.json beside exported weights."""

    key: str
    space: str
    choices: list[int]


@with_config(strict=True)
class Recipe(TypedDict):
    """recipe.json of a retraining."""

    key: str
    recipe: _Object


Phases = Annotated[
    _Numbers, Field(min_length=1)
]  # phases.json, written when the first phase has ended


def read_object(file: Path, kind: Any) -> _Object:
    """An essential file.

    Raises:
        ValueError: It is damaged, or holds something else than `kind`, one of the types above.
        FileNotFoundError: It is not there.
    """
    try:
        value = unsealed(file.read_bytes())
        typed(kind, value)
    except ValueError as error:
        raise ValueError(
            f"{file} is damaged ({error}): restore it from a copy, or start a new run"
        ) from None
    return value


def read_optional(file: Path, kind: Any, *, set_aside: bool = False) -> _Object | None:
    """A file that a run can do without; None where it is not there, or damaged, which is named.

    Args:
        set_aside: Renames a damaged one to "damaged-...", for the one who is about to replace it.
    """
    if not file.is_file():
        return None
    try:
        return read_object(file, kind)
    except (ValueError, OSError) as error:
        done = "left out"
        if set_aside:
            done = f"set aside as {file.rename(file.with_name(f'damaged-{file.name}')).name}"
        reason = str(error).partition(" is damaged (")[2].rpartition("):")[0] or str(error)
        _log.warning("%s is damaged (%s): it is %s", file, reason, done)
        return None


def read_metrics(folder: Path) -> list[_Object]:
    """The whole lines of a training's metrics.jsonl; damaged ones, cut short by a crash or
    otherwise, are named.
    """
    file = folder / "metrics.jsonl"
    found, damaged = parsed_lines(file.read_bytes()) if file.is_file() else ([], [])
    if damaged:
        _log.warning(
            "%s is damaged in line %s: what is there is left out",
            file,
            ", ".join(map(str, damaged)),
        )
    return found


def parsed_lines(content: bytes) -> tuple[list[_Object], list[int]]:
    """The sound lines of a metrics.jsonl, and the numbers of the others from 1."""
    found, damaged = [], []
    for number, text in enumerate(content.removesuffix(b"\n").split(b"\n") if content else [], 1):
        try:
            line = unsealed(text)
            typed(Line, line)
            found.append(line)
        except ValueError:
            damaged.append(number)
    return found, damaged


def written_lines(lines: Sequence[_Object]) -> str:
    """Lines as metrics.jsonl holds them."""
    return "".join(f"{sealed_json(line)}\n" for line in lines)
