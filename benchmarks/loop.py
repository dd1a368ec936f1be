"""The whole loop in process, population 1000, beside pymoo's and DEAP's NSGA-II, in evaluations/s;
one JSON line.

    evoray bench loop [--evaluations 100000] [--repeats 3]

Twenty genes of ten options and two objectives. "nothing": both are always 0, so that only the loop
itself costs. "cheap": two sums over the genes that are at odds, so that there are ranks to sort.
evoray counts distinct networks, keeps each in its (memory) ledger, and runs with analytic costs
alone, and with two measured objectives through the local evaluator. pymoo runs with its duplicate
check and without; DEAP has none. Goals, on "nothing" with analytic costs: 15 times pymoo (with the
check), 5 times DEAP.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as PymooProblem
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.optimize import minimize

from benchmarks.parts.spaces import Grid
from benchmarks.parts.timing import interleaved, ratios, seconds, spread
from evoray.engine.generational import Search
from evoray.engine.schedule import Schedule
from evoray.engine.shard import LocalShards, searchers_for
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from objectives.base import Candidate, Goal, Needs
from searchspaces.base import Choices

GENES, OPTIONS = 20, 10
WEIGHTS = {
    "first": np.linspace(0.0, 1.0, GENES),
    "second": -np.linspace(1.0, 0.0, GENES),
}  # at odds


@dataclass(frozen=True)
class Sum:
    """An analytic cost and a measured objective at once: a weighted sum of the choices, or
    nothing.
    """

    name: str
    is_nothing: bool
    unit: str = ""
    goal: Goal = Goal.MINIMIZE
    needs: Needs = field(default_factory=Needs)

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        return np.zeros(len(choices)) if self.is_nothing else choices @ WEIGHTS[self.name]

    def open(self, device: torch.device) -> None:
        """Nothing to open."""

    def measure(self, candidate: Candidate) -> float:
        if self.is_nothing:
            return 0.0
        return float(np.dot(candidate.architecture.choices, WEIGHTS[self.name]))


def evolve(
    evaluations: int, population: int, seed: int, *, is_nothing: bool, is_measured: bool
) -> None:
    """Our whole search: searcher, gate, intake, ledger."""
    both = tuple(Sum(name, is_nothing) for name in WEIGHTS)
    problem = Problem(
        Grid(GENES, OPTIONS),
        both if is_measured else (),
        () if is_measured else both,
        tuple(WEIGHTS),
    )
    shards = LocalShards(
        problem, searchers_for(problem, "nsga2", num_shards=1, seed=seed, population=population)
    )
    ledger = MemoryLedger(GENES)
    Search(
        problem,
        shards,
        LocalEvaluator(problem),
        ledger,
        Schedule(evaluations=evaluations, population=population),
    ).run()
    assert len(ledger) == evaluations


def evolve_with_pymoo(
    evaluations: int, population: int, seed: int, *, is_nothing: bool, distinct: bool
) -> None:
    """pymoo's NSGA-II with its integer operators on whole arrays."""

    class Wrapped(PymooProblem):  # type: ignore[misc]  # pymoo is not typed
        def __init__(self) -> None:
            super().__init__(n_var=GENES, n_obj=2, xl=0, xu=OPTIONS - 1, vtype=int)

        def _evaluate(
            self, x: NDArray[np.int64], out: dict[str, Any], *args: Any, **kwargs: Any
        ) -> None:
            out["F"] = (
                np.zeros((len(x), 2))
                if is_nothing
                else np.stack([x @ w for w in WEIGHTS.values()], axis=1)
            )

    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
        mutation=PM(eta=20, vtype=float, repair=RoundingRepair()),
        eliminate_duplicates=distinct,
    )
    minimize(Wrapped(), algorithm, ("n_gen", evaluations // population), seed=seed)


def evolve_with_deap(evaluations: int, population: int, seed: int, *, is_nothing: bool) -> None:
    """DEAP's (mu + lambda) evolution with selNSGA2."""
    from deap import algorithms, base, creator, tools

    if not hasattr(creator, "Losses"):
        creator.create("Losses", base.Fitness, weights=(-1.0, -1.0))
        creator.create("Individual", list, fitness=creator.Losses)
    first, second = (w.tolist() for w in WEIGHTS.values())

    def evaluate(choices: list[int]) -> tuple[float, float]:
        if is_nothing:
            return 0.0, 0.0
        return sum(map(float.__mul__, first, map(float, choices))), sum(
            map(float.__mul__, second, map(float, choices))
        )

    random.seed(seed)
    toolbox = base.Toolbox()
    toolbox.register("choice", random.randint, 0, OPTIONS - 1)
    toolbox.register("individual", tools.initRepeat, creator.Individual, toolbox.choice, GENES)
    toolbox.register("evaluate", evaluate)
    toolbox.register("mate", tools.cxUniform, indpb=0.5)
    toolbox.register("mutate", tools.mutUniformInt, low=0, up=OPTIONS - 1, indpb=1 / GENES)
    toolbox.register("select", tools.selNSGA2)
    start = tools.initRepeat(list, toolbox.individual, population)
    algorithms.eaMuPlusLambda(
        start,
        toolbox,
        population,
        population,
        0.9,
        0.1,
        evaluations // population - 1,
        verbose=False,
    )


def compared(options: argparse.Namespace, is_nothing: bool, has_deap: bool) -> dict[str, Any]:
    """Rates and ratios on one of the two kinds of objectives."""
    population = options.population

    def rate(
        evolve_with: Callable[..., None], evaluations: int, **more: bool
    ) -> Callable[[], float]:
        seeds = iter(range(10**6))
        evaluations = max(2 * population, evaluations // population * population)
        return lambda: (
            evaluations
            / seconds(
                lambda: evolve_with(
                    evaluations, population, next(seeds), is_nothing=is_nothing, **more
                )
            )
        )

    num = options.evaluations
    ways = {
        "evoray": rate(evolve, num, is_measured=False),
        "evoray_measured": rate(evolve, num // 4, is_measured=True),
        "pymoo": rate(evolve_with_pymoo, num // 10, distinct=True),
        "pymoo_without_check": rate(evolve_with_pymoo, num // 5, distinct=False),
    }
    if has_deap:
        # DEAP compares all pairs of distinct losses: seconds a generation when they differ
        ways["deap"] = rate(evolve_with_deap, num // 4 if is_nothing else 2 * population)
    found = interleaved(ways, options.repeats)
    return {
        "evaluations_per_second": {name: spread(values, 0) for name, values in found.items()},
        **{
            f"evoray_over_{name}": ratios(found["evoray"], values)
            for name, values in found.items()
            if name != "evoray"
        },
        **{
            f"measured_over_{name}": ratios(found["evoray_measured"], values)
            for name, values in found.items()
            if "evoray" not in name
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench loop")
    parser.add_argument("--evaluations", type=int, default=100_000)
    parser.add_argument("--population", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    has_deap = importlib.util.find_spec("deap") is not None
    line: dict[str, Any] = {
        "benchmark": "loop",
        **vars(options),
        "goals": {"evoray_over_pymoo": 15, "evoray_over_deap": 5},
    }
    if not has_deap:
        line["left_out"] = "deap is not installed: pip install deap"
    loading = seconds(
        lambda: evolve(
            3 * options.population, options.population, 0, is_nothing=True, is_measured=False
        )
    )
    line["first_search_seconds"] = round(
        loading, 2
    )  # it loads the compiled loops, the others find them loaded
    for kind in ("nothing", "cheap"):
        line[kind] = compared(options, kind == "nothing", has_deap)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
