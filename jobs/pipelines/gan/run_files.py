"""The files that a GAN search keeps in its run folder beside the usual ones.

generators/, discriminators/   the stages, each a run folder with rounds/NNN/ of its own
STAGE/collapses.json           generators that were seen to collapse in training
discriminators/pairs.json      keys of the last round's pairs in the order of their generators
final/                         the checkpoints of the final training
pair.json                      the generator and discriminator that were found
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import with_config
from typing_extensions import TypedDict

from evoray.records.run_files import read_object, read_optional
from evoray.records.run_folder import RunFolder, write_json

STAGES = ("generators", "discriminators")
FINAL = "final"


@with_config(strict=True)
class _Member(TypedDict, total=False):
    key: str
    choices: list[int]
    codes: list[list[int]]
    values: dict[str, Any]


@with_config(strict=True)
class _Pair(TypedDict, total=False):
    generator: _Member
    discriminator: _Member
    final: dict[str, Any]


@with_config(strict=True)
class _Keys(TypedDict):
    keys: list[str]


@with_config(strict=True)
class _Collapses(TypedDict):
    collapses: list[dict[str, Any]]


def read_pair(run: RunFolder) -> dict[str, Any]:  # Any: JSON
    """pair.json, {} before it is there."""
    file = run.path / "pair.json"
    return read_object(file, _Pair) if file.is_file() else {}


def write_pair(run: RunFolder, found: Mapping[str, Any]) -> None:
    """Adds to pair.json."""
    write_json(run.path / "pair.json", {**read_pair(run), **found})


def read_pair_keys(stage: RunFolder) -> list[str]:
    """pairs.json of the second stage."""
    found: list[str] = read_object(stage.path / "pairs.json", _Keys)["keys"]
    return found


def write_pair_keys(stage: RunFolder, keys: Sequence[str]) -> None:
    """Writes pairs.json."""
    write_json(stage.path / "pairs.json", {"keys": list(keys)})


def read_collapses(stage: RunFolder) -> list[dict[str, Any]] | None:  # Any: JSON
    """The contents of collapses.json, None where nobody watched."""
    found: list[dict[str, Any]] | None = (
        read_optional(stage.path / "collapses.json", _Collapses) or {}
    ).get("collapses")
    return found


def write_collapses(stage: RunFolder, collapses: Sequence[Mapping[str, Any]]) -> None:
    """Writes collapses.json."""
    write_json(stage.path / "collapses.json", {"collapses": [dict(one) for one in collapses]})
