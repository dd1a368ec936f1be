"""Seals: a digest inside of a file tells whether what is read is what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

_SEAL = "sha256"  # the last entry of a sealed object
_ABOUT = b"evoray"  # where a sealed table says what it is
_OPEN = b"0" * 64  # stands where the digest will


def sealed_json(
    value: Mapping[str, Any], indent: int | None = None
) -> str:  # Any: JSON, here and below
    """The object as JSON with a digest of its other entries as its last one.

    Raises:
        TypeError: It holds something that is not plain data.
        ValueError: It holds a number that is not finite.
    """
    content = json.loads(json.dumps(value, allow_nan=False))  # as a reader will see it
    return json.dumps({**content, _SEAL: _digest_of(content)}, indent=indent)


def unsealed(text: str | bytes) -> dict[str, Any]:
    """The object that a text holds, without its digest; one that was written without a digest is
    taken as it is.

    Raises:
        ValueError: It is no JSON object, or differs from its digest.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep to be read") from None
    if not isinstance(value, dict):
        raise ValueError(f"it must hold a JSON object, got {type(value).__name__}")
    digest = value.pop(_SEAL, None)
    if digest is not None and digest != _digest_of(value):
        raise ValueError(
            f"it differs from its digest; if it was changed on purpose, remove its entry {_SEAL!r}"
        )
    return value


def typed(kind: Any, value: object) -> Any:
    """The value as what the type `kind` says; entries that the type does not name are left out of a
    dataclass.

    Raises:
        ValueError: It does not fit.
    """
    try:
        return _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(f"{place}: {first['msg']}, got {str(first['input'])[:60]!r}") from None


@dataclass(frozen=True)
class SealedTable:
    """A table as it was written.

    Attributes:
        table: Without what the seal adds.
        about: Facts that were sealed with the table; None where it was written without a seal.
    """

    table: pa.Table
    about: Mapping[str, Any] | None


def sealed_table(table: pa.Table, about: Mapping[str, Any] | None = None) -> pa.Buffer:
    """A Parquet file with page checksums, `about`, and a digest of all its other bytes; any Parquet
    reader reads it.
    """
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(
            {_ABOUT.decode(): json.dumps({**(about or {}), _SEAL: _OPEN.decode()})}
        )
    data = bytearray(sink.getvalue())
    start = data.rindex(_OPEN)
    data[start : start + len(_OPEN)] = hashlib.sha256(data).hexdigest().encode()
    return pa.py_buffer(bytes(data))


def unsealed_table(data: pa.Buffer) -> SealedTable:
    """Reads a Parquet file.

    Raises:
        ValueError: It cannot be read, or differs from its digest.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        table, stored = file.read(), (file.metadata.metadata or {}).get(_ABOUT)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    if stored is None:
        return SealedTable(table, None)
    about = json.loads(stored)
    digest = str(about.pop(_SEAL, "")).encode() if isinstance(about, dict) else b""
    content = data.to_pybytes()
    start, rest = content.rfind(digest), memoryview(content)
    whole = hashlib.sha256(rest[: max(start, 0)])
    whole.update(_OPEN)
    whole.update(rest[start + len(_OPEN) :])
    if start < 0 or whole.hexdigest().encode() != digest:
        raise ValueError("it differs from its digest")
    return SealedTable(table, about)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _digest_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()
