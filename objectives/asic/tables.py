"""Layer and chip tables as callers hold them, checked once and turned into columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objectives.asic.compiled import compiled
from objectives.asic.constants import Constants
from searchspaces.base import nearest

Table = Mapping[str, ArrayLike]
Column = NDArray[np.float64]

TYPES = ("CONV", "DWCONV")
TEMPLATES = ("dla", "shi", "rs", "shi8", "rs_flat")
MAESTRO_ONLY = ("shi8", "rs_flat")
SCOPES = ("none", "top", "all")
LAYER_COLUMNS = ("K", "C", "R", "S", "OY", "OX", "stride")
AREA = 7  # the row of Chips.shape that holds it
_LARGEST = 2.0**31  # products of seven such columns are exact far beyond any real layer


@dataclass(frozen=True, eq=False)
class Layers:
    """(n,) columns: `shape` (8, n) holds K, C, R, S, OY, OX, stride and count; depthwise tells
    DWCONV from CONV.
    """

    shape: Column
    depthwise: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.depthwise)


@dataclass(frozen=True, eq=False)
class Chips:
    """(n,) columns: `shape` (8, n) holds units, bandwidth, bandwidth inside, array D1 and D2,
    buffer words, DRAM bandwidth and area.
    """

    shape: Column
    template: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.template)


def size_of_layers(table: Table) -> int:
    """Rows; ValueError where a column is missing or of another length."""
    return _size("layers", table, ("type", *LAYER_COLUMNS))


def size_of_chips(table: Table) -> int:
    """Rows; ValueError where a column is missing or of another length."""
    return _size("chips", table, ("template", "pes"))


def layers_of(table: Table) -> Layers:
    """The table with columns type, K, C, R, S, OY, OX, stride and, if wanted, count (how many such
    layers, or groups, there are).
    """
    size = size_of_layers(table)
    columns = [whole("layers", name, table[name]) for name in LAYER_COLUMNS]
    count = whole("layers", "count", table["count"]) if "count" in table else np.ones(size)
    kinds = codes("layers", "type", table["type"], TYPES)
    if size and (wrong := (kinds == 1) & (columns[0] != 1)).any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"layers: row {row} is DWCONV with K {columns[0][row]:g}, expected 1: a depthwise "
            "layer's channels go into C"
        )
    return Layers(np.stack([*columns, count]), kinds)


def chips_of(table: Table, constants: Constants) -> Chips:
    """The table with columns template, pes, noc_bw_elem_per_cycle and noc_scope.

    noc_scope may be absent: "top". The bandwidth may be NaN, infinite or empty where there is no
    limit, and absent where no row has one. For physical constants there may be array_D1 and
    array_D2 (else nearly square), glb_kb and dram_bw_words; for areas l1_bytes (a unit) and
    l2_bytes.
    """
    size = size_of_chips(table)
    templates = codes("chips", "template", table["template"], TEMPLATES)
    pes = whole("chips", "pes", table["pes"])
    scopes = (
        codes("chips", "noc_scope", table["noc_scope"], SCOPES)
        if "noc_scope" in table
        else np.ones(size, dtype=np.int8)
    )
    bandwidth = _bandwidth(table, size)
    if size and (wrong := (scopes > 0) & np.isinf(bandwidth) & ("noc_scope" in table)).any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"chips: row {row} has noc_scope {SCOPES[scopes[row]]!r} without a bandwidth: give "
            "noc_bw_elem_per_cycle, or scope 'none'"
        )
    D1, D2 = _array(table, pes)
    buffer = (
        positive("chips", "glb_kb", table["glb_kb"])
        if "glb_kb" in table
        else np.full(size, constants.buffer_kilobytes)
    )
    dram = (
        positive("chips", "dram_bw_words", table["dram_bw_words"])
        if "dram_bw_words" in table
        else np.full(size, constants.dram_bandwidth)
    )
    l1 = (
        numbers("chips", "l1_bytes", table["l1_bytes"])
        if "l1_bytes" in table
        else np.full(size, constants.l1_bytes)
    )
    default_l2 = buffer * 1024.0 if constants.mode == "physical" else np.zeros(size)
    l2 = numbers("chips", "l2_bytes", table["l2_bytes"]) if "l2_bytes" in table else default_l2
    area = constants.area(pes, bandwidth, l1, l2)
    if (
        constants.mode == "physical"
        and (wrong := templates >= TEMPLATES.index(MAESTRO_ONLY[0])).any()
    ):
        row = int(np.argmax(wrong))
        raise ValueError(
            f"chips: row {row} has template {TEMPLATES[templates[row]]!r}, which only MAESTRO's "
            "rule knows: use dla, shi or rs with "
            f"constants {constants.name!r}, or constants 'maestro2019'"
        )
    outer = np.where(scopes == 0, np.inf, bandwidth)
    inner = np.where(scopes == 2, bandwidth, np.inf)
    return Chips(np.stack([pes, outer, inner, D1, D2, buffer * 1024.0, dram, area]), templates)


def _array(table: Table, pes: Column) -> tuple[Column, Column]:
    if ("array_D1" in table) != ("array_D2" in table):
        raise ValueError(
            "chips have one of array_D1 and array_D2: give both, or none for a nearly square array"
        )
    if "array_D1" not in table:
        columns = np.floor(np.sqrt(pes))
        return np.floor(pes / columns), columns
    D1, D2 = (
        whole("chips", "array_D1", table["array_D1"]),
        whole("chips", "array_D2", table["array_D2"]),
    )
    wrong = pes < D1 * D2
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"chips: row {row} has an array of {D1[row]:g} x {D2[row]:g}, more than its "
            f"{pes[row]:g} pes"
        )
    return D1, D2


def _bandwidth(table: Table, size: int) -> Column:
    if "noc_bw_elem_per_cycle" not in table:
        return np.full(size, np.inf)
    found = numbers("chips", "noc_bw_elem_per_cycle", table["noc_bw_elem_per_cycle"], empty=np.nan)
    found = np.where(np.isnan(found), np.inf, found)
    if (wrong := found < 1).any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"chips: noc_bw_elem_per_cycle must be at least 1, row {row} has {found[row]:g}; NaN "
            "is no limit"
        )
    return found


def _size(what: str, table: Table, needed: Sequence[str]) -> int:
    for name in needed:
        if name not in table:
            raise ValueError(
                f"{what} have no column {name!r}; they need {', '.join(needed)}, got "
                f"{', '.join(map(str, table)) or 'none'}"
            )
    sizes = {str(name): np.shape(values) for name, values in table.items()}
    if any(len(shape) != 1 for shape in sizes.values()) or len(set(sizes.values())) > 1:
        raise ValueError(f"{what} need columns of one equal length, got shapes {sizes}")
    return int(next(iter(sizes.values()))[0])


def numbers(what: str, name: str, values: ArrayLike, *, empty: float | None = None) -> Column:
    """(n,) float64; texts are read, empty ones and None become `empty`."""
    found = np.asarray(values)
    if found.dtype.kind in "OUS":
        texts = [("" if value is None else str(value)).strip() for value in found.tolist()]
        if empty is not None:
            texts = [text or str(empty) for text in texts]
        try:
            found = np.array([float(text) for text in texts])
        except ValueError as error:
            raise ValueError(f"{what}: column {name!r} must hold numbers: {error}") from None
    return np.ascontiguousarray(found, dtype=np.float64)


def whole(what: str, name: str, values: ArrayLike) -> Column:
    """(n,) float64 whole numbers of at least 1."""
    found = numbers(what, name, values)
    row = _first_not_whole(found, _LARGEST)
    if row >= 0:
        raise ValueError(
            f"{what}: {name} must be a whole number from 1 to 2^31, row {row} has {found[row]:g}"
        )
    return found


def positive(what: str, name: str, values: ArrayLike) -> Column:
    """(n,) float64 above 0."""
    found = numbers(what, name, values)
    if (wrong := ~(found > 0)).any():
        row = int(np.argmax(wrong))
        raise ValueError(f"{what}: {name} must be above 0, row {row} has {found[row]:g}")
    return found


def codes(what: str, name: str, values: ArrayLike, known: Sequence[str]) -> NDArray[np.int8]:
    """(n,) index of each text in `known`."""
    texts = (
        np.ascontiguousarray(values, dtype=np.str_)
        if not isinstance(values, np.ndarray) or values.dtype.kind != "U"
        else values
    )
    if texts.size == 0:
        return np.zeros(len(texts), dtype=np.int8)
    width = max(texts.dtype.itemsize // 4, *(len(word) for word in known))
    if texts.dtype.itemsize != 4 * width or not texts.flags.c_contiguous:
        texts = np.ascontiguousarray(texts, dtype=f"<U{width}")
    letters = np.array(known, dtype=f"<U{width}").view(np.uint32).reshape(len(known), width)
    found = _match(texts.view(np.uint32).reshape(len(texts), width), letters)
    if (wrong := found < 0).any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{what}: row {row} has {name} {str(texts[row])!r}; {nearest(str(texts[row]), known)}"
        )
    return found


@compiled
def _match(texts: NDArray[np.uint32], known: NDArray[np.uint32]) -> NDArray[np.int8]:
    # Texts come in no order, so a letter by letter search would make the processor guess wrong:
    # digests are compared instead, without
    # branches, and the letters once.
    digests = np.zeros(len(known), dtype=np.uint64)
    for index in range(len(known)):
        for place in range(known.shape[1]):
            digests[index] = digests[index] * np.uint64(31) + np.uint64(known[index, place])
    found = np.full(len(texts), -1, dtype=np.int8)
    for row in range(len(texts)):
        digest = np.uint64(0)
        for place in range(texts.shape[1]):
            digest = digest * np.uint64(31) + np.uint64(texts[row, place])
        nearest = -1
        for index in range(len(known)):
            nearest = index if digests[index] == digest else nearest
        same = nearest >= 0
        for place in range(texts.shape[1]):
            same &= texts[row, place] == known[nearest, place]
        if same:
            found[row] = nearest
    return found


@compiled
def _first_not_whole(values: NDArray[np.float64], largest: float) -> int:
    for row in range(len(values)):
        value = values[row]
        if not (1.0 <= value <= largest) or value != np.floor(value):
            return row
    return -1
