"""The evaluations of a finished run, for commands that pick among them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.results import picking


def evaluated(folder: RunFolder) -> pa.Table:
    """The ledger of a run.

    Raises:
        ValueError: It has none yet.
    """
    table = read_ledger(folder.ledger)
    if table is None:
        raise ValueError(
            f"run {folder.path} has no evaluations yet: finish it with `evoray resume "
            f"{folder.path}`"
        )
    return table


def picked(folder: RunFolder, pick: str) -> dict[str, Any]:  # Any: a row of the ledger
    """The record that `pick` names.

    Raises:
        ValueError: It names none, or there are no records yet.
    """
    return picking.pick(evaluated(folder), folder.job()["values"], pick)
