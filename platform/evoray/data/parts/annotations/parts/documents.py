"""JSON documents of annotations, every fault of one told with its place in it."""

from __future__ import annotations

import json
from typing import Any

from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.polygons import MAX_COORDINATE


def document(member: Member) -> dict[str, Any]:  # Any: JSON
    """The object that a file holds.

    Raises:
        ValueError: It is no JSON, or no object; names file and line.
    """
    try:
        found = json.loads(member.text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{member.where}, line {error.lineno}: no JSON, {error.msg}") from None
    except RecursionError:
        raise ValueError(f"{member.where}: no JSON, it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"{member.where}: it needs to be an object, got {type(found).__name__}")
    return found


def has(member: Member, name: str) -> bool:
    """True where a file is a JSON object with a list of this name."""
    try:
        return member.suffix == ".json" and isinstance(document(member).get(name), list)
    except ValueError:
        return False


def item(holder: Any, name: str, kind: type | tuple[type, ...], where: str) -> Any:  # Any: JSON
    """The entry `name` of an object.

    Raises:
        ValueError: It is not there, or of another kind; names `where`.
    """
    if not isinstance(holder, dict):
        raise ValueError(f"{where} needs to be an object, got {type(holder).__name__}")
    if not isinstance(holder.get(name), kind):
        raise ValueError(f"{where}: {name!r} is missing or of another kind, {holder.get(name)!r}")
    return holder[name]


def coordinates(values: list[Any], where: str) -> list[float]:  # Any: JSON
    """Numbers of a list: x and y in turn, or pairs of them.

    Raises:
        ValueError: One is no number, or a pair none; names `where`.
    """
    flat: list[Any] = []
    for value in values:
        if isinstance(value, list) and len(value) != 2:
            raise ValueError(f"{where}: a corner needs x and y, got {value!r}")
        flat += value if isinstance(value, list) else [value]
    for value in flat:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{where}: a coordinate needs to be a number, got {value!r}")
        if not abs(value) <= MAX_COORDINATE:  # nor NaN
            raise ValueError(
                f"{where}: a coordinate needs to lie within {MAX_COORDINATE:g} pixels, "
                f"got {str(value)[:20]}"
            )
    return [float(value) for value in flat]
