"""Hypervolume of nsga2 on ZDT1-4, ZDT6 and DTLZ2 after 20,000 evaluations, beside pymoo's NSGA-II
with its defaults; one JSON line.

    evoray bench zdt [--seeds 5] [--evaluations 20000] [--problems zdt1 zdt2]

Each variable is a gene of 1,001 ordered options, evenly spaced over its range; pymoo's variables
are continuous. Both have a population of 100. Compared is the hypervolume of the last population,
which is what NSGA-II hands back; that of the front of everything that was evaluated is beside it.
Losses are scaled by the true front's range, the reference is 1.1. Goal: every ratio at least 0.99.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from torch import nn

from benchmarks.parts.timing import ratios, spread
from evoray.engine.generational import Search
from evoray.engine.schedule import Schedule
from evoray.engine.shard import LocalShards
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.pareto import dominance
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from evoray.searchers.nsga2 import Nsga2
from objectives.base import Goal
from searchspaces.base import Architecture, Choices, Gene

PROBLEMS = ("zdt1", "zdt2", "zdt3", "zdt4", "zdt6", "dtlz2")
OPTIONS = 1001
POPULATION = 100

Losses = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """A continuous problem's variables as genes."""

    name: str
    genes: tuple[Gene, ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @staticmethod
    def of(name: str, problem: Any) -> Box:  # Any: pymoo is untyped
        genes = tuple(
            Gene(f"x{i}", tuple(np.linspace(low, high, OPTIONS).tolist()))
            for i, (low, high) in enumerate(zip(problem.xl, problem.xu, strict=True))
        )
        return Box(name, genes, problem.xl, problem.xu)

    @property
    def published(self) -> Mapping[str, Architecture]:
        return {}

    def variables(self, choices: Choices) -> NDArray[np.float64]:
        return self.low + choices / (OPTIONS - 1) * (self.high - self.low)

    def repair(self, choices: Choices) -> Choices:
        return choices

    def costs(self, choices: Choices) -> dict[str, NDArray[np.float64]]:
        return {}

    def build_supernet(self) -> nn.Module:
        return nn.Identity()

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True)
class Loss:
    """One of the problem's objectives as a cost."""

    space: Box
    problem: Any  # pymoo is untyped
    index: int
    unit: str = ""
    goal: Goal = Goal.MINIMIZE

    @property
    def name(self) -> str:
        return f"f{self.index + 1}"

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        return np.asarray(
            self.problem.evaluate(self.space.variables(choices), return_values_of=["F"])[
                :, self.index
            ]
        )


def evolve(name: str, seed: int, evaluations: int) -> tuple[Losses, Losses]:
    """Losses of the last population and of everything evaluated, by our nsga2."""
    problem = get_problem(name)
    space = Box.of(name, problem)
    costs = tuple(Loss(space, problem, index) for index in range(problem.n_obj))
    stated = Problem(space, (), costs, tuple(c.name for c in costs))
    searcher = Nsga2(stated, seed=seed, population=POPULATION)
    ledger = MemoryLedger(len(space.genes))
    schedule = Schedule(evaluations=evaluations, population=POPULATION)
    Search(stated, LocalShards(stated, [searcher]), LocalEvaluator(stated), ledger, schedule).run()
    every = stated.losses(ledger.records)[0]
    return np.array(searcher.state()["archive"]["losses"]), every


def evolve_with_pymoo(name: str, seed: int, evaluations: int) -> tuple[Losses, Losses]:
    """The same by pymoo's NSGA-II, all its operators as they come."""
    every: list[Losses] = []

    def keep(algorithm: Any) -> None:
        every.append((algorithm.off if algorithm.off is not None else algorithm.pop).get("F"))

    result = minimize(
        get_problem(name),
        NSGA2(pop_size=POPULATION),
        ("n_eval", evaluations),
        seed=seed,
        callback=keep,
    )
    return result.pop.get("F"), np.concatenate(every)


def volume(losses: Losses, true_front: Losses) -> float:
    low, high = true_front.min(axis=0), true_front.max(axis=0)
    return dominance.hypervolume((losses - low) / (high - low), np.full(losses.shape[1], 1.1))


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench zdt")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=20_000)
    parser.add_argument("--problems", nargs="+", default=PROBLEMS)
    options = parser.parse_args()
    line: dict[str, Any] = {
        "benchmark": "zdt",
        "evaluations": options.evaluations,
        "seeds": options.seeds,
        "population": POPULATION,
    }
    for name in options.problems:
        true_front = get_problem(name).pareto_front()
        volumes: dict[str, list[float]] = {}
        for seed in range(options.seeds):
            for who, run in (("evoray", evolve), ("pymoo", evolve_with_pymoo)):
                for what, losses in zip(
                    ("population", "everything"), run(name, seed, options.evaluations), strict=True
                ):
                    volumes.setdefault(f"{who}_{what}", []).append(volume(losses, true_front))
        line[name] = {
            "ratio": ratios(volumes["evoray_population"], volumes["pymoo_population"], 4),
            "ratio_of_everything": ratios(
                volumes["evoray_everything"], volumes["pymoo_everything"], 4
            ),
            **{who: spread(values, 4) for who, values in volumes.items()},
        }
    line["least_median_ratio"] = min(line[name]["ratio"]["median"] for name in options.problems)
    line["goal"] = 0.99
    print(json.dumps(line))


if __name__ == "__main__":
    main()
