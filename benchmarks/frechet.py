"""The trace term of the Frechet distance against scipy's general matrix square root, at 2048
features; one JSON line.

    evoray bench frechet [--dimension 2048] [--few 256] [--repeats 3]

Covariances of 5,000 rows with a spectrum that falls as Inception's does. "many": from covariances,
the reference's root being known, as it is after the first candidate. "few": from fewer rows than
features, where a smaller problem has the same eigenvalues. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable

import numpy as np
import scipy.linalg
from threadpoolctl import threadpool_limits

from benchmarks.parts.timing import interleaved, ratios, seconds, spread
from objectives.inception.frechet import Gaussian, trace_of_rows, trace_term
from objectives.inception.moments import Array


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench frechet")
    parser.add_argument("--dimension", type=int, default=2048)
    parser.add_argument("--few", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    scales = np.arange(1, options.dimension + 1) ** -0.5
    first, second = (
        rng.normal(size=(5000, options.dimension)) * scales @ _rotation(rng, options.dimension)
        for _ in range(2)
    )
    reference, covariance = Gaussian(first.mean(axis=0), np.cov(first.T)), np.cov(second.T)
    few = second[: options.few] - second[: options.few].mean(axis=0)
    found: dict[str, float] = {}

    def timed(name: str, value: Callable[[], float]) -> float:
        def work() -> None:
            found[name] = value()

        return seconds(work)

    with threadpool_limits(1):
        root_seconds = seconds(lambda: reference.root)
        ways = {
            "many": lambda: timed("many", lambda: trace_term(reference, covariance)),
            "few": lambda: timed("few", lambda: trace_of_rows(reference, few)),
            "sqrtm": lambda: timed(
                "sqrtm",
                lambda: float(np.trace(scipy.linalg.sqrtm(reference.covariance @ covariance)).real),
            ),
        }
        times = interleaved(ways, options.repeats)
    line = {
        "benchmark": "frechet",
        **vars(options),
        "root_seconds": round(root_seconds, 2),
        "seconds": {name: spread(values, 3) for name, values in times.items()},
        "sqrtm_over_many": ratios(times["sqrtm"], times["many"], 1),
        "sqrtm_over_few": ratios(times["sqrtm"], times["few"], 1),
        "relative_difference": abs(found["many"] / found["sqrtm"] - 1.0),
    }
    print(json.dumps(line))


def _rotation(rng: np.random.Generator, dimension: int) -> Array:
    """Random mixing, so that features correlate."""
    return rng.normal(size=(dimension, dimension)) / math.sqrt(dimension)


if __name__ == "__main__":
    main()
