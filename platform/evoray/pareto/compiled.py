"""Compiled loops behind `pareto`, for large sets of points under two or three objectives; each
agrees with its NumPy form to the bit.

Importing this file imports numba, which takes a second, so `pareto` does it when there is enough to
sort.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Loop = TypeVar("_Loop", bound=Callable[..., object])


def best(losses: Floats, count: int) -> Ints:
    """Indices of the best `count` of (n, m) points by rank, then crowding, best first; ties keep
    their input order. m is 2 or 3.
    """
    columns = np.ascontiguousarray(losses.T)
    orders = np.stack([np.argsort(column) for column in columns])
    for column, order in zip(columns, orders, strict=True):
        _settle_ties(column, order)
    sweep = _ranks_of_two if len(columns) == 2 else _ranks_of_three
    rank = sweep(columns, _lexicographic(columns, orders[0]))
    counts = np.bincount(rank)
    last = int(np.searchsorted(np.cumsum(counts), min(count, len(losses))))
    crowd = _crowding(columns, orders, rank, last)
    kept = np.flatnonzero(rank <= last)
    order = np.argsort(-crowd[kept])
    _settle_ties(-crowd[kept], order)
    return _by_rank(kept[order], rank, counts[: last + 1])[:count]


def _compiled(loop: _Loop) -> _Loop:
    compile_: Any = (
        numba.njit
    )  # it says that it returns a dispatcher; the dispatcher is called like the loop itself
    try:
        compiled: _Loop = compile_(cache=True)(loop)
    except (
        RuntimeError
    ):  # nowhere to keep the machine code: neither beside this file nor in the user's home
        compiled = compile_(loop)
    return compiled


@_compiled
def _settle_ties(values: Floats, order: Ints) -> None:
    """Makes `order`, which sorts `values`, a stable one."""
    start = 0
    for i in range(1, len(order) + 1):
        if i == len(order) or values[order[i]] != values[order[start]]:
            if i - start > 1:
                order[start:i].sort()
            start = i


@_compiled
def _lexicographic(columns: Floats, order: Ints) -> Ints:
    """The order by the first column, then the second and so on, then the index; `order` is the
    stable one by the first.
    """
    sorted_ = order.copy()
    start = 0
    for i in range(1, len(order) + 1):
        if i == len(order) or columns[0, order[i]] != columns[0, order[start]]:
            if i - start > 1:
                tied = order[start:i].copy()
                for j in range(len(columns) - 1, 0, -1):
                    tied = tied[np.argsort(columns[j][tied], kind="mergesort")]
                sorted_[start:i] = tied
            start = i
    return sorted_


@_compiled
def _ranks_of_two(columns: Floats, order: Ints) -> Ints:
    """Non-domination ranks: in lexicographic order a rank dominates a point if its least second
    loss so far is no larger.
    """
    rank = np.empty(len(order), dtype=np.int64)
    least = np.empty(len(order))
    num_ranks = 0
    before = -1
    for i in order:
        second = columns[1, i]
        if before >= 0 and second == columns[1, before] and columns[0, i] == columns[0, before]:
            rank[i] = rank[before]
            continue
        low, high = 0, num_ranks
        while low < high:
            middle = (low + high) // 2
            if least[middle] <= second:
                low = middle + 1
            else:
                high = middle
        num_ranks = max(num_ranks, low + 1)
        least[low] = second
        rank[i] = low
        before = i
    return rank


@_compiled
def _ranks_of_three(columns: Floats, order: Ints) -> Ints:
    """The same; each rank has a staircase: the points so far that no other dominates in losses two
    and three, in order of the second.

    The staircases lie in one pool. One that is full moves to its end with twice the room, so 4n
    places suffice.
    """
    num = len(order)
    rank = np.empty(num, dtype=np.int64)
    seconds, thirds = np.empty(4 * num + 4), np.empty(4 * num + 4)
    starts, lengths, rooms = (
        np.zeros(num, dtype=np.int64),
        np.zeros(num, dtype=np.int64),
        np.zeros(num, dtype=np.int64),
    )
    end, num_ranks, before = 0, 0, -1
    for i in order:
        second, third = columns[1, i], columns[2, i]
        if (
            before >= 0
            and third == columns[2, before]
            and second == columns[1, before]
            and columns[0, i] == columns[0, before]
        ):
            rank[i] = rank[before]
            continue
        before = i
        low, high = 0, num_ranks
        while low < high:
            middle = (low + high) // 2
            stairs = seconds[starts[middle] : starts[middle] + lengths[middle]]
            step = np.searchsorted(
                stairs, second, side="right"
            )  # the step before it is the lowest at or left of `second`
            if step > 0 and thirds[starts[middle] + step - 1] <= third:
                low = middle + 1
            else:
                high = middle
        rank[i] = low
        num_ranks = max(num_ranks, low + 1)
        if lengths[low] == rooms[low]:
            rooms[low] = max(4, 2 * rooms[low])
            for k in range(lengths[low]):
                seconds[end + k], thirds[end + k] = (
                    seconds[starts[low] + k],
                    thirds[starts[low] + k],
                )
            starts[low] = end
            end += rooms[low]
        start, length = starts[low], lengths[low]
        first = start + np.searchsorted(seconds[start : start + length], second)
        after = first
        while after < start + length and thirds[after] >= third:
            after += 1
        shift = first + 1 - after  # one comes, those that it dominates go
        if shift > 0:
            for k in range(start + length - 1, after - 1, -1):
                seconds[k + 1], thirds[k + 1] = seconds[k], thirds[k]
        elif shift < 0:
            for k in range(after, start + length):
                seconds[k + shift], thirds[k + shift] = seconds[k], thirds[k]
        seconds[first], thirds[first] = second, third
        lengths[low] = length + shift
    return rank


@_compiled
def _crowding(columns: Floats, orders: Ints, rank: Ints, last: int) -> Floats:
    """Crowding distance within each rank up to `last`, 0 beyond it; `orders` holds the stable order
    by each column.
    """
    distance = np.zeros(len(rank))
    lowest, latest, earlier = (
        np.empty(last + 1, dtype=np.int64),
        np.empty(last + 1, dtype=np.int64),
        np.empty(last + 1, dtype=np.int64),
    )
    highest = np.empty(last + 1, dtype=np.int64)
    for j in range(len(columns)):
        column = columns[j]
        lowest[:] = -1
        for i in orders[j]:
            if rank[i] <= last:
                if lowest[rank[i]] < 0:
                    lowest[rank[i]] = i
                highest[rank[i]] = i
        latest[:] = -1
        for i in orders[j]:
            own = rank[i]
            if own > last:
                continue
            if latest[own] >= 0 and latest[own] != lowest[own]:
                span = column[highest[own]] - column[lowest[own]]
                if span > 0:
                    distance[latest[own]] += (column[i] - column[earlier[own]]) / span
            earlier[own], latest[own] = latest[own], i
        for own in range(last + 1):
            if lowest[own] >= 0:
                distance[lowest[own]] = np.inf
                distance[highest[own]] = np.inf
    return distance


@_compiled
def _by_rank(order: Ints, rank: Ints, counts: Ints) -> Ints:
    """`order` (every point of the ranks that are counted) sorted by rank, stable."""
    place = np.zeros(len(counts), dtype=np.int64)
    place[1:] = np.cumsum(counts)[:-1]
    sorted_ = np.empty(len(order), dtype=np.int64)
    for i in order:
        sorted_[place[rank[i]]] = i
        place[rank[i]] += 1
    return sorted_
