"""NSGA-II survival, 20,000 kept of 40,000 under 2 and 3 objectives, beside pymoo's RankAndCrowding;
one JSON line. Goals: 4x and 2x.

    evoray bench survival [--points 40000] [--repeats 7]

"uniform" points have many ranks. "converged" ones are what a late generation looks like: half of
them near one front, and as many children scattered behind it. Both keep the same ranks: that is
checked. pymoo gets a population that stands ready.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.core.population import Population
from pymoo.core.problem import Problem as PymooProblem
from pymoo.functions import is_compiled
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from benchmarks.parts.timing import interleaved, ratios, seconds, spread
from evoray.pareto import dominance

GOALS = {2: 4.0, 3: 2.0}


def uniform(num: int, num_objectives: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.random((num, num_objectives))


def converged(num: int, num_objectives: int, rng: np.random.Generator) -> NDArray[np.float64]:
    points = np.abs(rng.standard_normal((num, num_objectives)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    away = np.where(np.arange(num) < num // 2, 0.02, 0.5) * rng.exponential(size=num)
    return 1.0 - points + away[:, None]


def compared(losses: NDArray[np.float64], kept: int, repeats: int) -> dict[str, Any]:
    num, num_objectives = losses.shape
    feasible = np.zeros(num)
    population = Population.new(F=losses, index=np.arange(num))
    problem, survival = PymooProblem(n_var=1, n_obj=num_objectives), RankAndCrowding()

    def ours() -> NDArray[np.int64]:
        return dominance.survivors(losses, feasible, kept)

    def theirs() -> Any:
        return survival.do(
            problem, population, n_survive=kept, random_state=np.random.default_rng(0)
        )

    rank = dominance.ranks(losses)
    same = np.array_equal(
        np.bincount(rank[ours()]), np.bincount(rank[theirs().get("index").astype(np.int64)])
    )
    ways: dict[str, Callable[[], float]] = {
        "evoray": lambda: 1e3 * seconds(ours),
        "pymoo": lambda: 1e3 * seconds(theirs),
    }
    found = interleaved(ways, repeats)
    return {
        "ranks": int(rank.max()) + 1,
        "evoray_milliseconds": spread(found["evoray"]),
        "pymoo_milliseconds": spread(found["pymoo"]),
        "times_as_fast": ratios(found["pymoo"], found["evoray"]),
        "goal": GOALS[num_objectives],
        "same_ranks_kept": bool(same),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench survival")
    parser.add_argument("--points", type=int, default=40_000)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    line: dict[str, Any] = {
        "benchmark": "survival",
        "points": options.points,
        "kept": options.points // 2,
        "pymoo_compiled": is_compiled(),
    }
    for made in (uniform, converged):
        for num_objectives in GOALS:
            losses = made(options.points, num_objectives, np.random.default_rng(num_objectives))
            line[f"{made.__name__}_{num_objectives}_objectives"] = compared(
                losses, options.points // 2, options.repeats
            )
    print(json.dumps(line))


if __name__ == "__main__":
    main()
