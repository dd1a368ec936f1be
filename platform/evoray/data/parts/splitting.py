"""Dividing labelled images into parts that hold the same share of every class; the same in every
run and process.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evoray.seeds import generator_for


def stratified(
    labels: NDArray[np.int64], share: float, *words: str, keep: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of (the rest, about `share` of each class and at least one), each sorted; `words`
    name the split, the seed is fixed.

    The rest keeps at least `keep` of each class that has them, also where the share gets none then.
    """
    rng = generator_for(0, "split", *words)
    taken = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(0, len(members) - keep), max(1, round(share * len(members))))
        taken.append(rng.permutation(members)[:count])
    chosen = np.sort(np.concatenate(taken)) if taken else np.zeros(0, dtype=np.int64)
    rest = np.setdiff1d(np.arange(len(labels)), chosen)
    return rest, chosen


def limited(labels: NDArray[np.int64], limit: int | None) -> NDArray[np.int64]:
    """Indices of at most about `limit` images, the same share of each class; all when limit is None
    or not reached.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    return stratified(labels, limit / len(labels), "limit")[1]


def train_or_val(
    labels: NDArray[np.int64], split: str, share: float, limit: int | None
) -> NDArray[np.int64]:
    """Indices of the "val" part, `share` of a training set that comes without one, or of the at
    most `limit` that stay "train".
    """
    rest, val = stratified(labels, share, "val", keep=1)
    return val if split == "val" else rest[limited(labels[rest], limit)]
