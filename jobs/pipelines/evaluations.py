"""The evaluations of a run: ledgers that are written, and those of finished runs to pick from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from evoray.problem.problem import Problem
from evoray.records.ledger import FolderLedger, read_ledger
from evoray.records.run_folder import RunFolder
from evoray.records.table import to_table
from evoray.records.weights_digest import check_weights
from evoray.results import picking


def ledger_of(place: Path, problem: Problem) -> FolderLedger:
    """Opens the ledger of a problem's records, for writing too."""
    return FolderLedger(place, problem.columns())


def write_front(folder: RunFolder, ledger: FolderLedger) -> None:
    """Writes which of the ledger's records are the Pareto front."""
    table = to_table(ledger.records, ledger.schema)
    folder.write_front(picking.front(table, folder.job()["values"]))


def evaluated(folder: RunFolder, digest: str = "") -> pa.Table:
    """The ledger of a run; with a `digest` all of it was measured with these weights.

    Raises:
        ValueError: It has none yet, or was measured with others.
    """
    table = read_ledger(folder.ledger)
    if table is None:
        raise ValueError(
            f"run {folder.path} has no evaluations yet: finish it with `evoray resume "
            f"{folder.path}`"
        )
    if digest:
        for record in table.select(["key", "weights_digest"]).to_pylist():
            check_weights(record, digest, folder.path)
    return table


def picked(folder: RunFolder, pick: str) -> dict[str, Any]:  # Any: a row of the ledger
    """The record that `pick` names.

    Raises:
        ValueError: It names none, or there are no records yet.
    """
    return picking.pick(evaluated(folder), folder.job()["values"], pick)
