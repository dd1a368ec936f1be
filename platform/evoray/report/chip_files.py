"""The files of a search of networks and chip that its report reads, in the run folder: chip.json,
the design handed over, and comparison/METHOD/ with ledger/ and outcome.json of each method that it
is compared with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import AfterValidator, FiniteFloat, PositiveInt, with_config
from typing_extensions import TypedDict

from evoray.records.run_files import read_optional
from evoray.records.run_folder import RunFolder

EVOLUTION = "evolution"  # the search itself among the methods


@with_config(strict=True)
class _Slot(TypedDict):
    template: str
    pes: int
    bandwidth: int


@with_config(strict=True)
class _Layer(TypedDict):
    task: str
    name: str
    slot: int
    start: FiniteFloat
    end: FiniteFloat
    macs: int
    utilization: FiniteFloat
    split: dict[str, FiniteFloat]


@with_config(strict=True)
class _Budget(TypedDict):
    pes: PositiveInt
    bandwidth: PositiveInt


@with_config(strict=True)
class _Units(TypedDict):
    energy: str


@with_config(strict=True)
class _Design(TypedDict):
    chip: list[_Slot]
    budget: _Budget
    networks: dict[str, dict[str, Any]]
    layers: list[_Layer]
    specs: dict[str, FiniteFloat]
    units: _Units
    values: dict[str, FiniteFloat]


def _consistent(design: _Design) -> _Design:
    used = {index for index, slot in enumerate(design["chip"]) if slot["pes"] > 0}
    if not used or not {layer["slot"] for layer in design["layers"]} <= used:
        raise ValueError("a layer runs on a sub-accelerator that is not there")
    return design


Chip = Annotated[_Design, AfterValidator(_consistent)]  # chip.json


@with_config(strict=True)
class Outcome(TypedDict):
    """comparison/METHOD/outcome.json."""

    method: str
    values: dict[str, FiniteFloat]
    violation: FiniteFloat
    num_networks: int
    num_skipped: NotRequired[int]
    chip: list[_Slot]


def chip_place(folder: RunFolder) -> Path:
    """The place of chip.json."""
    return folder.path / "chip.json"


def method_place(folder: RunFolder, method: str) -> Path:
    """The folder of one method."""
    return folder.inside("comparison", method.replace(" ", "-"))


def read_chip(folder: RunFolder) -> dict[str, Any] | None:  # Any: JSON
    """chip.json, or None."""
    return read_optional(chip_place(folder), Chip)


def read_outcomes(folder: RunFolder) -> list[dict[str, Any]]:  # Any: JSON
    """outcome.json of every method, the search itself first; empty where nothing was compared."""
    files = sorted((folder.path / "comparison").glob("*/outcome.json"))
    read = (read_optional(file, Outcome) for file in files if not file.is_symlink())
    found = [outcome for outcome in read if outcome is not None]
    return sorted(found, key=lambda outcome: outcome["method"] != EVOLUTION)
