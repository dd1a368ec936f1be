"""Chooses the rows of a large run that a page can hold, evenly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]  # (k,) indices of records, ascending


def thinned(rows: Rows, most: int, always: Rows | None = None) -> Rows:
    """At most `most` of the rows, evenly chosen in their order, and those of them that are in
    `always` besides.
    """
    if len(rows) <= most:
        return rows
    chosen = rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]
    return chosen if always is None else np.union1d(chosen, np.intersect1d(rows, always))


def said(title: str, drawn: int, there: int) -> str:
    """A title that says how many were drawn where it was not all."""
    return title if drawn == there else f"{title} ({drawn:,} of {there:,} drawn)"
