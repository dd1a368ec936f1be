"""Kinds of columns: how the values of many records stand in memory and how in Arrow, one class a
kind.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import DTypeLike, NDArray

from searchspaces.base import Choices, Keys

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]  # (n,) of str
Values = NDArray[Any]  # (n,) or (n, k), one row a record: its kind says of which type

_LISTS_A_PIECE = 65_536


class Kind(ABC):
    """One kind of columns.

    Attributes:
        arrow: Type in Arrow.
    """

    arrow: pa.DataType

    @abstractmethod
    def of(self, values: Sequence[Any]) -> Values:
        """The column that holds one value a record."""

    @abstractmethod
    def value(self, row: Any) -> Any:
        """The value of one record, from its row of the column."""

    @abstractmethod
    def to_arrow(self, column: Values) -> pa.Array | pa.ChunkedArray:
        """The column as it is written."""

    @abstractmethod
    def from_arrow(self, column: pa.ChunkedArray) -> Values:
        """The column that `to_arrow` wrote.

        Raises:
            ValueError: It holds what no record can have.
        """

    def joined(self, parts: Sequence[Values]) -> Values:
        """Columns one after the other."""
        return np.concatenate(parts)


class Numbers(Kind):
    """One number a record, of a numpy type."""

    def __init__(self, dtype: DTypeLike) -> None:
        self.arrow = pa.from_numpy_dtype(dtype)
        self._dtype = dtype

    def of(self, values: Sequence[Any]) -> Values:
        return np.array(values, dtype=self._dtype)

    def value(self, row: Any) -> Any:
        return row.item()

    def to_arrow(self, column: Values) -> pa.Array:
        return pa.array(column)

    def from_arrow(self, column: pa.ChunkedArray) -> Values:
        return np.asarray(column.to_numpy().astype(self._dtype))


class Words(Kind):
    """One text a record, of any characters and length."""

    arrow = pa.string()

    def of(self, values: Sequence[str]) -> Texts:
        return texts(values)

    def value(self, row: str) -> str:
        return row

    def to_arrow(self, column: Texts) -> pa.Array:
        return pa.array(column, type=pa.string())

    def from_arrow(self, column: pa.ChunkedArray) -> Texts:
        return texts(column.to_pylist())


class Members(Kind):
    """One member of an enum of texts a record, in memory as its index."""

    arrow = pa.string()

    def __init__(self, enum: type[Enum]) -> None:
        self._kind = enum.__name__.lower()
        self._members = tuple(enum)
        self._texts = [member.value for member in enum]

    def of(self, values: Sequence[Enum]) -> Values:
        return np.array([self._members.index(value) for value in values], dtype=np.int8)

    def value(self, row: Any) -> Enum:
        return self._members[int(row)]

    def to_arrow(self, column: Values) -> pa.Array:
        return pa.array([self._texts[code] for code in column.tolist()], type=pa.string())

    def from_arrow(self, column: pa.ChunkedArray) -> Values:
        codes = pc.index_in(column, value_set=pa.array(self._texts))
        if codes.null_count:
            raise ValueError(
                f"a record's {self._kind} must be one of {self._texts}, got "
                f"{column.unique().to_pylist()}"
            )
        return np.asarray(codes.to_numpy().astype(np.int8))


class ArchitectureKeys(Kind):
    """One key of an architecture a record, in memory as ASCII bytes."""

    arrow = pa.string()

    def of(self, values: Sequence[str]) -> Keys:
        return np.array([value.encode() for value in values], dtype=np.bytes_)

    def value(self, row: bytes) -> str:
        return row.decode()

    def to_arrow(self, column: Keys) -> pa.Array:
        return pa.array(column).cast(pa.string())

    def from_arrow(self, column: pa.ChunkedArray) -> Keys:
        return np.asarray(column.cast(pa.binary()).to_numpy(), dtype=np.bytes_)


class OptionIndices(Kind):
    """One index a gene, as many in every record."""

    arrow = pa.list_(pa.int16())

    def of(self, values: Sequence[Sequence[int]]) -> Choices:
        return np.array(values, dtype=np.int16).reshape(len(values), -1 if len(values) else 0)

    def value(self, row: Any) -> tuple[int, ...]:
        return tuple(row.tolist())

    def to_arrow(self, column: Choices) -> pa.ChunkedArray:
        return _lists(column.reshape(-1), np.full(len(column), column.shape[1]), pa.int16())

    def from_arrow(self, column: pa.ChunkedArray) -> Choices:
        lengths = set(pc.list_value_length(column).unique().to_pylist())
        if len(lengths) > 1:
            raise ValueError(
                f"all records must have as many choices, got {sorted(map(str, lengths))} in one "
                "table"
            )
        flat: Choices = pc.list_flatten(column).to_numpy().astype(np.int16)
        return flat.reshape(len(column), -1 if len(column) else 0)


class KeyLists(Kind):
    """Any number of keys a record, in memory padded with b"" to the most that one has."""

    arrow = pa.list_(pa.string())

    def of(self, values: Sequence[Sequence[str]]) -> Keys:
        width = max(map(len, values), default=0)
        padded = [[*map(str.encode, keys), *[b""] * (width - len(keys))] for keys in values]
        return np.array(padded, dtype=np.bytes_).reshape(len(values), width)

    def value(self, row: Any) -> tuple[str, ...]:
        return tuple(key.decode() for key in row if key)

    def to_arrow(self, column: Keys) -> pa.ChunkedArray:
        there = column != b""
        return _lists(column[there], there.sum(axis=1), pa.string())

    def from_arrow(self, column: pa.ChunkedArray) -> Keys:
        counts = pc.list_value_length(column).to_numpy().astype(np.int64)
        keys = ArchitectureKeys().from_arrow(pc.list_flatten(column))
        padded = np.zeros((len(column), counts.max(initial=0)), dtype=keys.dtype)
        padded[np.arange(padded.shape[1]) < counts[:, None]] = keys
        return padded

    def joined(self, parts: Sequence[Keys]) -> Keys:
        return joined_parents(parts)


def texts(values: Sequence[str]) -> Texts:
    """(n,) texts as a column."""
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column


def joined_parents(parts: Sequence[Keys]) -> Keys:
    """(n, p) blocks one after the other, padded with b"" to the widest."""
    width, length = max(p.shape[1] for p in parts), max(p.dtype.itemsize for p in parts)
    joined = np.zeros((sum(map(len, parts)), width), dtype=f"S{length}")
    start = 0
    for part in parts:
        joined[start : start + len(part), : part.shape[1]] = part
        start += len(part)
    return joined


def _lists(items: Values, lengths: NDArray[np.int64], kind: pa.DataType) -> pa.ChunkedArray:
    """(n,) lists; in pieces, for one array holds no more than 2 GiB of text."""
    ends = np.cumsum(lengths)
    pieces = []
    for first in range(0, len(lengths), _LISTS_A_PIECE):
        last = min(first + _LISTS_A_PIECE, len(lengths))
        start = int(ends[first] - lengths[first])
        offsets = np.concatenate([[0], ends[first:last] - start]).astype(np.int32)
        flat = pa.array(items[start : int(ends[last - 1])]).cast(kind)
        if isinstance(flat, pa.ChunkedArray):  # of more than 16 MiB of text
            flat = flat.combine_chunks()
        pieces.append(pa.ListArray.from_arrays(pa.array(offsets), flat))
    return pa.chunked_array(pieces, type=pa.list_(kind))
