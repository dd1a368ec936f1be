"""The data sets of a run: told apart by digests, and found again where they have moved."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from evoray import data
from evoray.data.parts.images import ImageSource
from evoray.records.run_folder import RunFolder, write_json
from jobs.pipelines.options import DataOptions
from objectives.base import DataSource

C = TypeVar("C")


class _Sourced(Protocol):
    @property
    def sources(self) -> tuple[DataSource, ...]: ...


def load_source(
    options: DataOptions, option: str = "data", *, image_size: int | None = None
) -> ImageSource:
    """The data that options name; errors name `option`, the command line's word for them.

    Raises:
        ValueError: It cannot be read.
        FileNotFoundError: It is not there.
    """
    try:
        return data.load(
            options.name,
            root=options.root,
            image_size=image_size,
            limit=options.limit,
            download=options.download,
        )
    except (ValueError, FileNotFoundError) as error:
        raise type(error)(str(error).replace("--data.", f"--{option}.")) from None


def settled(config: C) -> tuple[C, dict[str, Any]]:
    """The configuration of a new run with the folders that its data was found in, and what job.json
    says of that data.

    Raises:
        ValueError: The data cannot be read.
        FileNotFoundError: It is not there.
    """
    found = {}
    for option, options in _data_of(config).items():
        source = load_source(options, option)
        found[option] = _described(source)
        if options.root is None and source.folder is not None:
            config = _with_root(config, option, source.folder)
    return config, found


def located(folder: RunFolder, config: C, roots: Mapping[str, Path]) -> C:
    """The configuration of a run with its data where it is now; a run from before digests is taken
    at its word.

    Raises:
        ValueError: The data is not what the run was started with, or the run has no such data.
        FileNotFoundError: The data is not there.
    """
    places = _data_of(config)
    for option, root in roots.items():
        if option not in places:
            raise ValueError(
                f"--{option}.root: run {folder.path} has no such data; it has "
                f"{', '.join(f'--{name}.root' for name in places)}"
            )
        config = _with_root(config, option, root)
    known = folder.job().get("data", {})
    for option, options in _data_of(config).items():
        expected = known.get(option)
        if expected is None:
            continue
        found = _described(load_source(options, option))
        if found["digest"] != expected["digest"]:
            raise ValueError(
                f"the {options.name} data of --{option}.root {options.root} is not what run "
                f"{folder.path} was started with: "
                f"{_spoken(found)}, expected {_spoken(expected)}; give the folder of the same data "
                f"with --{option}.root, or start a new run"
            )
    return config


def keep_roots(folder: RunFolder, roots: Mapping[str, Path]) -> None:
    """Writes into job.json where the data is now, so that the next command finds it."""
    job = folder.job()
    for option, root in roots.items():
        place = job["config"]
        for name in option.split("."):
            place = place[name]
        place["root"] = str(root)
    if roots:
        write_json(folder.path / "job.json", job)


def check_readable(setup: _Sourced) -> None:
    """Opens what a run trains and validates on, so that what is wrong with it shows before anything
    is started.

    Raises:
        ValueError: A picture set is empty or damaged.
    """
    for source in setup.sources:
        for split in ("train", "val"):
            source.open(split)


def _data_of(config: Any) -> dict[str, DataOptions]:  # Any: a configuration or a part of one
    """Data options of a configuration, by the command line's names for them."""
    found = {}
    for part in dataclasses.fields(config):
        value = getattr(config, part.name)
        if isinstance(value, DataOptions):
            found[part.name] = value
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            found |= {f"{part.name}.{name}": options for name, options in _data_of(value).items()}
    return found


def _with_root(config: Any, option: str, root: Path) -> Any:
    name, _, rest = option.partition(".")
    part = getattr(config, name)
    return dataclasses.replace(
        config,
        **{name: _with_root(part, rest, root) if rest else dataclasses.replace(part, root=root)},
    )


def _described(source: ImageSource) -> dict[str, Any]:
    found = source.contents()
    return {
        "source": source.name,
        "digest": found.digest,
        "files": found.files,
        "bytes": found.size,
    }


def _spoken(about: Mapping[str, Any]) -> str:
    return f"{about['files']} files of {about['bytes']:,} bytes, digest {about['digest'][:12]}"
