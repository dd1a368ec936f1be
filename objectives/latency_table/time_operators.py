"""Times operators and networks on a device: needs torch, and nothing of this project.

    python time_operators.py FOLDER times.json [THREADS]

FOLDER/operators.json holds {"operators": [{"name": "aten.addmm.default", "arguments": [...],
"keywords": {...}}, ...], "networks": [{"file": "network-000.ts", ...}, ...], "input": [1, 3, 224,
224]}; a tensor among the arguments is {"tensor": {"shape": [...], "stride": [...], "dtype":
"float32"}}. times.json becomes {"operators": [seconds, ...], "networks": [seconds, ...], "threads":
n, "torch": version, "machine": name}: medians in the same order.
"""

from __future__ import annotations

import functools
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

_WARM_UP = 3
_LEAST_RUNS, _LEAST_SECONDS = 7, 0.002
_ROUNDS = 5  # over everything; the quietest counts, because other work on the machine only adds


def revived(value: Any) -> Any:  # Any: JSON
    """An argument as it was: tensors are random where they are of floats, else zeros."""
    if isinstance(value, list):
        return [revived(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "dtype" in value:
        return getattr(torch, value["dtype"])
    like = value["tensor"]
    dtype = getattr(torch, like["dtype"])
    if 0 in like["stride"]:  # an expanded one; a whole one costs hardly less
        return torch.zeros(like["shape"], dtype=dtype)
    tensor = torch.empty_strided(like["shape"], like["stride"], dtype=dtype)
    return tensor.normal_() if dtype.is_floating_point else tensor.zero_()


def median_seconds(run: Callable[[], Any]) -> float:
    """Median seconds of at least seven calls and two milliseconds, after a warm-up."""
    for _ in range(_WARM_UP):
        run()
    seconds: list[float] = []
    while len(seconds) < _LEAST_RUNS or sum(seconds) < _LEAST_SECONDS:
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def runner(operator: dict[str, Any]) -> Callable[[], Any]:
    """A call of one operator."""
    _, name, overload = operator["name"].split(".")
    function = getattr(getattr(torch.ops.aten, name), overload)
    arguments, keywords = (
        revived(operator["arguments"]),
        {k: revived(v) for k, v in operator["keywords"].items()},
    )
    return lambda: function(*arguments, **keywords)


def quietest(make: Sequence[Callable[[], Callable[[], Any]]], threads: int) -> list[float]:
    """The least of the rounds' medians for each of what these make, which is made anew in every
    round so that memory stays small.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.inference_mode():
            rounds = [[median_seconds(one()) for one in make] for _ in range(_ROUNDS)]
    finally:
        torch.set_num_threads(before)
    return [min(seconds) for seconds in zip(*rounds, strict=True)]


def time_operators(operators: Sequence[dict[str, Any]], threads: int = 1) -> list[float]:
    """Seconds of each operator."""
    return quietest([functools.partial(runner, operator) for operator in operators], threads)


def time_networks(
    networks: Sequence[Callable[[torch.Tensor], Any]], x_bchw: torch.Tensor, threads: int = 1
) -> list[float]:
    """Seconds of one forward pass of each."""
    return quietest(
        [functools.partial(functools.partial, network, x_bchw) for network in networks], threads
    )


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: python time_operators.py FOLDER times.json [THREADS]")
    folder, threads = sys.argv[1], int(sys.argv[3]) if len(sys.argv) == 4 else 1
    with open(f"{folder}/operators.json", encoding="utf-8") as stream:
        wanted = json.load(stream)
    seconds = time_operators(wanted["operators"], threads)
    loaded = [torch.jit.load(f"{folder}/{network['file']}") for network in wanted["networks"]]  # type: ignore[no-untyped-call]
    networks = time_networks(loaded, torch.randn(wanted["input"]), threads)
    about = {"threads": threads, "torch": torch.__version__, "machine": platform.node()}
    with open(sys.argv[2], "w", encoding="utf-8") as stream:
        json.dump({"operators": seconds, "networks": networks, **about}, stream)


if __name__ == "__main__":
    main()
