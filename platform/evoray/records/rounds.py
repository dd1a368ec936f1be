"""Ledgers of rounds: rounds/NNN/ in the folder of a run whose supernet trains on between them, a
ledger each.
"""

from __future__ import annotations

from pathlib import Path

from evoray.records.run_folder import RunFolder


def round_ledger(folder: RunFolder, number: int) -> Path:
    """The place of one round's ledger, from 0."""
    return folder.path / "rounds" / f"{number:03d}"


def round_ledgers(folder: RunFolder) -> list[Path]:
    """The ledgers of the rounds that have begun."""
    return sorted((folder.path / "rounds").glob("[0-9]*"))
