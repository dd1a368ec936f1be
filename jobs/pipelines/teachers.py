"""Networks from outside that teach, and the trust in those that can run code, which only a command
line gives and never a run folder.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import searchspaces
from evoray.results.export import read_architecture
from evoray.training.config import TrainConfig
from evoray.training.recipe.teachers import Teacher, check_place
from jobs.pipelines.options import CodeOptions
from objectives.base import DataSource, HasClasses
from searchspaces.base import SearchSpace

_T = TypeVar("_T")


def trusting(config: _T, trust_code: bool) -> _T:
    """The configuration with what this command line says of code in files; one that knows no such
    files as it is.
    """
    if not isinstance(config, CodeOptions):
        return config
    return cast(_T, dataclasses.replace(config, trust_code=trust_code))


def untaught(config: _T) -> _T:
    """The configuration without teachers, for what reads a run and trains nothing."""
    if isinstance(config, TrainConfig):
        return cast(_T, dataclasses.replace(config, teachers=()))
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        return config
    parts = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    changes = {name: untaught(part) for name, part in parts.items() if untaught(part) != part}
    return cast(_T, dataclasses.replace(cast(Any, config), **changes))


def teachers_of(
    recipe: TrainConfig, known: Sequence[SearchSpace], source: DataSource, *, trust_code: bool
) -> tuple[Teacher, ...]:
    """The recipe's teachers; a network of one of the `known` spaces is built by that one.

    Raises:
        ValueError: One could run code and is not trusted, or does not fit the data.
        FileNotFoundError: One is not there.
    """
    return tuple(_teacher(place, known, source, trust_code) for place in recipe.teachers)


def _teacher(
    place: Path, known: Sequence[SearchSpace], source: DataSource, trust_code: bool
) -> Teacher:
    check_place(place, trust_code=trust_code)
    if not place.is_dir():
        return Teacher(place, None)
    about = read_architecture(place)
    found = Teacher(place, _space_of(about, known, source))
    found.load()  # here, where its mistakes are told in one line
    return found


def _space_of(
    about: dict[str, Any], known: Sequence[SearchSpace], source: DataSource
) -> SearchSpace:
    name = about["space"]
    own = next(
        (getattr(space, "inner", space) for space in known if space.name == name), None
    )  # a teacher's genes are free
    if own is None and searchspaces.own_paths([name]):
        raise ValueError(
            f"the teacher is a network of {name!r}, and a file does not say what is imported: "
            "teach with one of evoray's spaces"
        )
    space: Any = own or searchspaces.load(name)  # Any: dataclasses with the fields asked below
    fields = (
        {field.name for field in dataclasses.fields(space)}
        if dataclasses.is_dataclass(space)
        else set()
    )
    shape = about.get("input_shape")
    fits: dict[str, Any] = {"in_channels": source.image_shape[0]}
    if isinstance(source, HasClasses):
        fits["num_classes"] = source.num_classes
    if isinstance(shape, list) and len(shape) == 3 and type(shape[1]) is int:
        fits["image_size"] = shape[1]
    return cast(
        SearchSpace,
        dataclasses.replace(space, **{key: value for key, value in fits.items() if key in fields}),
    )
