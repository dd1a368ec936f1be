"""Describes an object of the user's own by its class, how it was made, and its class's source, so
that a changed one is known as another.

An objective that is changed between two searches in one run folder would lend the old values to the
new one. Nothing here can see everything (functions that a method calls are not followed); it sees
what people change: arguments, attributes, and the class's text.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
import os
import textwrap
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import nn

from evoray.problem.plain_values import plain

_OURS = (
    "evoray",
    "objectives",
    "searchspaces",
    "jobs",
)  # their versions are in job.json, and a new one is no other search
_DEEPEST = 5  # objects within objects
_MOST_ITEMS = 64  # of a list that is written out
_CHANGING_CALLS = (
    "append",
    "add",
    "update",
    "extend",
    "insert",
    "pop",
    "remove",
    "clear",
    "setdefault",
    "discard",
    "write",
)


def identity(value: Any, depth: int = 0) -> Any:  # Any: an object of the user's own, and JSON
    """`value` as plain data; equal for objects that were made alike by the same code, also in
    another process.
    """
    if isinstance(value, float | np.floating) and not np.isfinite(value):
        return repr(float(value))  # JSON has no word for it
    if value is None or isinstance(
        value, str | bool | int | float | np.generic | Enum | os.PathLike
    ):
        return plain(value, "")
    if isinstance(value, torch.Tensor | np.ndarray):
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        return {
            "array": [str(array.dtype), list(array.shape)],
            "digest": _digest(np.ascontiguousarray(array).tobytes()),
        }
    if depth >= _DEEPEST:
        return {"class": type(value).__qualname__}
    if isinstance(value, nn.Module):
        weights = [
            [name, identity(tensor, depth + 1)] for name, tensor in value.state_dict().items()
        ]
        return {"class": type(value).__qualname__, "weights": _digest(repr(weights).encode())}
    if isinstance(value, Mapping):
        return {str(key): identity(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [identity(item, depth + 1) for item in value]
        return (
            items
            if len(items) <= _MOST_ITEMS
            else {"items": len(items), "digest": _digest(repr(items).encode())}
        )
    if isinstance(value, type):
        return {"class": value.__qualname__, **_source(value)}
    if isinstance(value, functools.partial):
        return [identity(part, depth + 1) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, types.MethodType):
        return {"method": value.__func__.__qualname__, "of": identity(value.__self__, depth + 1)}
    if isinstance(value, types.FunctionType):
        return _function(value, depth)
    return {
        "class": type(value).__qualname__,
        **_source(type(value)),
        "made_with": _made_with(value, depth),
    }


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Lists the differences of two identities: "epochs is 12, was 1", the first of each branch."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        found: list[str] = []
        for key in dict.fromkeys([*before, *now]):
            inner = name if key in ("made_with", "of", "source") else f"{name}.{key}".strip(".")
            if key == "source" and before.get(key) != now.get(key):
                found.append(f"the source of {name or 'it'} has changed")
            elif key not in before or key not in now:
                found.append(f"{inner} is {'new' if key in now else 'gone'}")
            else:
                found += differences(before[key], now[key], inner)
        return found
    return [] if before == now else [f"{name} is {_short(now)}, was {_short(before)}"]


def _made_with(value: Any, depth: int) -> dict[str, Any]:
    """Attributes by name: a dataclass's fields, else the constructor's arguments and plain
    attributes; not what its methods change.
    """
    changing = _changed_by_methods(type(value))
    if dataclasses.is_dataclass(value):
        names = [
            f.name
            for f in dataclasses.fields(value)
            if f.init and f.compare and f.name not in changing
        ]
        return {name: identity(getattr(value, name, None), depth + 1) for name in names}
    own = dict(vars(value)) if hasattr(value, "__dict__") else {}
    found: dict[str, Any] = {}
    for name in _constructor_arguments(type(value)):
        held = next((n for n in (name, f"_{name}") if n in own), None)
        if held is not None and held not in changing:
            found[name] = identity(own[held], depth + 1)
    for name, item in own.items():
        plain_one = isinstance(item, str | bool | int | float | np.generic)
        if plain_one and not name.startswith("_") and name not in changing:
            found[name] = identity(item, depth + 1)
    return found


def _constructor_arguments(kind: type) -> list[str]:
    try:
        return list(inspect.signature(kind).parameters)
    except (ValueError, TypeError):  # a class written in C
        return []


def _changed_by_methods(kind: type) -> set[str]:
    """Attributes that methods other than the constructor assign or add to: state, such as a counter
    or opened data.
    """
    found: set[str] = set()
    for base in kind.__mro__:
        for method in vars(base).values():
            if isinstance(method, types.FunctionType) and method.__name__ not in (
                "__init__",
                "__post_init__",
            ):
                found.update(_assigned(method))
    return found


def _assigned(method: types.FunctionType) -> Iterator[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(method)))
    except (OSError, TypeError, SyntaxError):
        return
    for node in ast.walk(tree):
        changed: ast.AST = node
        if isinstance(node, ast.Call):  # self.seen.append(...)
            is_changing = isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING_CALLS
            changed = (
                node.func.value if is_changing and isinstance(node.func, ast.Attribute) else node
            )
        elif isinstance(node, ast.Subscript) and isinstance(
            node.ctx, ast.Store | ast.Del
        ):  # self.seen[...] = ...
            changed = node.value
        elif not (
            isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store | ast.Del)
        ):  # self.seen = ...
            continue
        if isinstance(changed, ast.Attribute):
            yield changed.attr


def _function(function: types.FunctionType, depth: int) -> dict[str, Any]:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closed = {
        name: identity(cell.cell_contents, depth + 1) for name, cell in cells if _is_filled(cell)
    }
    return {
        "function": function.__qualname__,
        **_source(function),
        "defaults": [
            identity(item, depth + 1)
            for item in (function.__defaults__ or (), function.__kwdefaults__ or {})
        ],
        "closed_over": {
            name: item for name, item in closed.items() if not isinstance(item, dict)
        },  # plain ones: others may be state
    }


def _is_filled(cell: types.CellType) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _source(kind: type | types.FunctionType) -> dict[str, str]:
    """The digest of its text and its bases', {} where there is none to find or it is evoray's
    own.
    """
    classes = [c for c in kind.__mro__ if c is not object] if isinstance(kind, type) else [kind]
    said: list[str] = []
    for one in classes:
        if str(one.__module__).split(".")[0] in (
            *_OURS,
            "builtins",
            "typing",
            "abc",
            "enum",
            "torch",
        ):
            continue
        try:
            said.append(
                ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(one))))
            )  # without comments and spacing
        except (OSError, TypeError, SyntaxError):
            said += _code_of(one)
    return {"source": _digest("\0".join(said).encode("utf-8", "backslashreplace"))} if said else {}


def _code_of(one: type | types.FunctionType) -> list[str]:
    """The compiled code, for what was typed at a prompt."""
    functions = (
        [one]
        if isinstance(one, types.FunctionType)
        else [f for f in vars(one).values() if isinstance(f, types.FunctionType)]
    )
    consts = [
        [c for c in f.__code__.co_consts if not isinstance(c, types.CodeType)] for f in functions
    ]
    return [
        f"{f.__qualname__} {f.__code__.co_code.hex()} {c!r} {f.__code__.co_names}"
        for f, c in zip(functions, consts, strict=True)
    ]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
