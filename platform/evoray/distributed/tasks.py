"""Independent pieces of work, one Ray task each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import ray

T = TypeVar("T")


def run_tasks(
    work: Callable[..., T],
    arguments: Sequence[tuple[Any, ...]],
    *,
    shared: Any,
    num_cpus: float = 1.0,
    num_gpus: float = 0.0,
    retries: int = 2,
) -> Iterator[T]:
    """`work(shared, *arguments[i])` for every i, as results come in; `shared` travels once to each
    node.

    A task whose worker dies is repeated up to `retries` times; what `work` raises is raised here.
    """
    remote: Any = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=retries)(
        work
    )  # Any: Ray's handles are untyped
    common = ray.put(shared)
    waiting = [remote.remote(common, *args) for args in arguments]
    while waiting:
        done, waiting = ray.wait(waiting, num_returns=1)
        yield ray.get(done[0])


def reason(error: BaseException | None) -> str:
    """The line that says what went wrong, of the many that Ray gives."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line.split(":")[0]]
    return (telling or lines or [json.dumps(str(error))])[-1]
