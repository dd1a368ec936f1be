"""Folder of real data: the one that EVORAY_DATA names, or shared/data beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]


def real_data(name: str) -> Path:
    """The folder of one data set; skips the test, saying so, where it is absent."""
    for base in (os.environ.get("EVORAY_DATA", ""), str(_ROOT.parent / "shared" / "data")):
        if base and (Path(base) / name).is_dir():
            return Path(base) / name
    pytest.skip(f"real data set {name!r} is not there: set EVORAY_DATA to a folder that holds it")
