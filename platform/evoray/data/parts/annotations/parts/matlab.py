"""MATLAB files through scipy, every fault of one a ValueError that names it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from scipy.io import loadmat

from evoray.data.parts.annotations.parts.members import Member


def variables(member: Member) -> dict[str, Any]:  # Any: whatever MATLAB stored
    """The variables of a file by name.

    Raises:
        ValueError: It cannot be read.
    """
    try:
        found: dict[str, Any] = loadmat(io.BytesIO(member.content))
    except Exception as error:  # damaged bytes make scipy raise almost anything
        raise ValueError(
            f"{member.where} is no MATLAB file of version 4 to 7.2, or a damaged one: {error}"
        ) from error
    return {name: value for name, value in found.items() if not name.startswith("__")}


def word(value: Any) -> str:  # Any: a MATLAB cell
    """The text of a cell, "" of an empty one."""
    flat = np.ravel(value)
    return str(flat[0]) if len(flat) else ""
