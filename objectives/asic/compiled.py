"""The one place where cost kernels meet the compiler: plain functions go in, machine code that
releases the interpreter comes out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """`function` compiled on first use; float operations keep their order, so results are those of
    the interpreter bit for bit.

    The machine code is kept beside the source for the next process; where no folder can be written,
    it is compiled in each process. What is kept is renewed when the function's own file changes, so
    what a kernel is made of stands in one file.
    """
    try:
        return cast(
            Callable[P, R], numba.njit(cache=True, nogil=True, error_model="numpy")(function)
        )
    except RuntimeError:  # numba finds no folder that it can write to
        return inlined(function)


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """`function` for use inside compiled ones."""
    return cast(Callable[P, R], numba.njit(nogil=True, error_model="numpy")(function))
