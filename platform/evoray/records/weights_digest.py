"""Values belong to the weights that they were measured with: the digests are compared wherever the
two meet.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evoray.records.ledger import read_ledger
from evoray.records.records import Records
from evoray.records.table import from_table

_log = logging.getLogger(__name__)


def check_weights(record: Mapping[str, Any], digest: str, run: Path) -> None:
    """Refuses weights that a record's values are not of; a record that used none fits all.

    Raises:
        ValueError: They are others.
    """
    measured = str(record.get("weights_digest") or "")
    if measured not in ("", digest):
        raise ValueError(
            f"the values of {str(record.get('key'))[:80]} were measured with weights "
            f"{measured[:80]}, but the newest whole checkpoint of "
            f"run {run} holds weights {digest}: put the other checkpoint back, or measure again "
            f"with `evoray resume {run}`"
        )


def keep_only(digest: str, ledger: Path, others: Sequence[Path] = ()) -> Records | None:
    """Puts a ledger aside that holds values of other weights, together with `others` that follow
    from it, before it is opened.

    Returns:
        The records of it that are of these weights and need not be measured again; None where all
        are, and nothing was moved.
    """
    table = read_ledger(ledger) if ledger.is_dir() else None
    if table is None:
        return None
    records = from_table(table)
    fits = np.isin(np.array([str(found) for found in records.digests]), ["", digest])
    if fits.all():
        return None
    aside = _free(ledger)
    aside.mkdir()
    for place in (ledger, *others):
        if place.exists():
            place.rename(aside / place.name)
    _log.warning(
        "%d of the %d values in %s were measured with other weights than %s, which the checkpoint "
        "holds: they are measured again; "
        "the old ones are in %s",
        int((~fits).sum()),
        len(records),
        ledger,
        digest,
        aside,
    )
    return records.take(np.flatnonzero(fits))


def _free(ledger: Path) -> Path:
    number = 1
    while (place := ledger.with_name(f"of-other-weights-{number}")).exists():
        number += 1
    return place
