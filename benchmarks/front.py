"""Hypervolume at equal evaluations on a trained supernet: evoray's searchers, random search, pymoo
and Optuna; one JSON line.

    evoray bench front RUN [--seeds 5] [--evaluations 160]

All maximise the recalibrated accuracy and minimise the MACs of the run's own space and weights,
through one evaluator whose values are kept, so that each network is measured once and every
algorithm sees the same numbers. A line a search goes to stderr.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
import torch
from numpy.typing import NDArray
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.duplicate import ElementwiseDuplicateElimination
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.repair import Repair
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling

from evoray.engine.generational import Search
from evoray.engine.schedule import Schedule
from evoray.engine.shard import LocalShards, searchers_for
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.worker import EvaluationWorker, Weights
from evoray.pareto import dominance
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from evoray.records.run_folder import RunFolder
from jobs.pipelines.supernet import pipeline
from jobs.pipelines.supernet.build import build_setup
from objectives.base import Candidate, Objective
from searchspaces.base import SearchSpace, architectures

MOST_REPEATS = (
    6  # proposals for each distinct network, for algorithms that propose what they know already
)


class Remembering:
    """An objective that measures each network once and keeps the value."""

    def __init__(self, inner: Objective, space: SearchSpace, weights: Weights | None) -> None:
        self.name, self.unit, self.goal, self.needs = (
            inner.name,
            inner.unit,
            inner.goal,
            inner.needs,
        )
        self._worker = EvaluationWorker(space, inner, weights)
        self.values: dict[str, float] = {}

    def open(self, device: torch.device) -> None:
        """Opened already."""

    def measure(self, candidate: Candidate) -> float:
        architecture = candidate.architecture
        if architecture.key not in self.values:
            reading = self._worker.measure(architecture)
            assert not reading.error, reading.error
            self.values[architecture.key] = reading.values[0]
        return self.values[architecture.key]


def evolve(
    problem: Problem, name: str, seed: int, evaluations: int, population: int
) -> NDArray[np.float64]:
    """(n, m) losses in the order of evaluation by one of our searchers."""
    ledger = MemoryLedger()
    searchers = searchers_for(problem, name, num_shards=1, seed=seed, population=population)
    schedule = Schedule(evaluations=evaluations, population=population)
    Search(
        problem, LocalShards(problem, searchers), LocalEvaluator(problem), ledger, schedule
    ).run()
    return problem.losses(ledger.records)[0]


def _evolved(
    problem: Problem, name: str, evaluations: int, population: int, seed: int
) -> NDArray[np.float64]:
    return evolve(problem, name, seed, evaluations, population)


def evolve_with_pymoo(
    problem: Problem, seed: int, evaluations: int, population: int
) -> NDArray[np.float64]:
    """(n, m) losses of distinct networks in the order of evaluation by pymoo's NSGA-II with its
    integer operators.
    """
    space = problem.space
    counts = np.array([len(g.options) for g in space.genes])
    seen: dict[str, NDArray[np.float64]] = {}
    measured = problem.measured[0]

    class Wrapped(PymooProblem):  # type: ignore[misc]  # pymoo is not typed
        def __init__(self) -> None:
            super().__init__(n_var=len(counts), n_obj=2, xl=0, xu=counts - 1, vtype=int)

        def _evaluate(
            self, x: NDArray[np.int64], out: dict[str, Any], *args: Any, **kwargs: Any
        ) -> None:
            rows = architectures(space, x.astype(np.int16))
            costs = problem.cost_values(np.array([a.choices for a in rows], dtype=np.int16))["macs"]
            for a, macs in zip(rows, costs, strict=True):
                if a.key not in seen:
                    value = measured.measure(Candidate(space, a))
                    seen[a.key] = np.array([-value, macs])
            out["F"] = np.array([seen[a.key] for a in rows])

    class Canonical(Repair):  # type: ignore[misc]
        def _do(self, _: Any, x: NDArray[np.int64], **kwargs: Any) -> NDArray[np.int64]:
            return space.repair(np.round(x).astype(np.int16)).astype(int)

    class Equal(ElementwiseDuplicateElimination):  # type: ignore[misc]
        def is_equal(self, a: Any, b: Any) -> bool:
            return bool((a.X == b.X).all())

    algorithm = NSGA2(
        pop_size=population,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
        mutation=PM(eta=20, vtype=float, repair=RoundingRepair()),
        repair=Canonical(),
        eliminate_duplicates=Equal(),
    )
    algorithm.setup(Wrapped(), termination=NoTermination(), seed=seed, verbose=False)
    for _ in range(MOST_REPEATS * evaluations // population):
        if len(seen) >= evaluations:
            break
        algorithm.next()
    return np.array(list(seen.values()))[:evaluations]


def evolve_with_optuna(
    problem: Problem, seed: int, evaluations: int, population: int, sampler: str
) -> NDArray[np.float64]:
    """(n, m) losses of distinct networks by an Optuna sampler under its own study; its repeats do
    not count.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sized = {"population_size": population} if sampler == "NSGAIISampler" else {}
    study = optuna.create_study(
        directions=["minimize"] * 2, sampler=getattr(optuna.samplers, sampler)(seed=seed, **sized)
    )
    seen: dict[str, list[float]] = {}
    measured = problem.measured[0]
    for _ in range(MOST_REPEATS * evaluations):
        if len(seen) == evaluations:
            break
        trial = study.ask()
        row = [
            trial.suggest_int(gene.name, 0, len(gene.options) - 1) for gene in problem.space.genes
        ]
        rows = problem.space.repair(np.array([row], dtype=np.int16))
        architecture = architectures(problem.space, rows)[0]
        if architecture.key not in seen:
            value = measured.measure(Candidate(problem.space, architecture))
            seen[architecture.key] = [-value, float(problem.cost_values(rows)["macs"][0])]
        study.tell(trial, seen[architecture.key])
    return np.array(list(seen.values()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench front")
    parser.add_argument("run", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--evaluations", type=int, default=160)
    parser.add_argument("--population", type=int, default=16)
    options = parser.parse_args()
    folder = RunFolder.open(options.run)
    setup = build_setup(pipeline.PIPELINE.config_of(folder))
    weights, _ = pipeline.supernet_weights(folder)
    whole = setup.problem
    accuracy = Remembering(
        cast(Objective, next(o for o in whole.measured if o.name == "accuracy")),
        setup.space,
        weights,
    )
    macs = tuple(c for c in whole.costs if c.name == "macs")
    problem = Problem(setup.space, (accuracy,), macs, ("accuracy", "macs"))
    budget = (options.evaluations, options.population)
    seeds = range(options.seeds)
    ways: dict[str, Callable[[int], NDArray[np.float64]]] = {
        **{
            name: partial(_evolved, problem, name, *budget)
            for name in ("nsga2", "random", "coarse_to_fine")
        },
        "predictor": partial(_evolved, problem, "predictor", options.evaluations, 8),
        "optuna_nsga2": lambda seed: evolve_with_optuna(problem, seed, *budget, "NSGAIISampler"),
        "optuna_tpe": lambda seed: evolve_with_optuna(problem, seed, *budget, "TPESampler"),
        "pymoo": lambda seed: evolve_with_pymoo(problem, seed, *budget),
    }
    runs: dict[str, list[NDArray[np.float64]]] = {name: [] for name in ways}
    for seed in seeds:
        for name, way in ways.items():
            start = time.monotonic()
            runs[name].append(way(seed))
            print(
                f"seed {seed}, {name}: {len(runs[name][-1])} networks, "
                f"{time.monotonic() - start:.0f} s",
                file=sys.stderr,
            )
    every = np.concatenate([losses for of_name in runs.values() for losses in of_name])
    ideal, span = every.min(axis=0), np.ptp(every, axis=0)
    line: dict[str, Any] = {"benchmark": "front", "seeds": options.seeds}
    for mark in sorted(
        {min(mark, options.evaluations) for mark in (100, 300, 1000)} | {options.evaluations}
    ):
        volumes = {
            name: [
                dominance.hypervolume((losses[:mark] - ideal) / span, np.full(2, 1.1)) / 1.21
                for losses in of_name
            ]
            for name, of_name in runs.items()
        }
        ratios = {
            f"predictor_over_{name}": [
                a / b for a, b in zip(volumes["predictor"], volumes[name], strict=True)
            ]
            for name in volumes
            if name != "predictor"
        }
        line[str(mark)] = {
            name: {
                "median": round(statistics.median(values), 4),
                "min": round(min(values), 4),
                "max": round(max(values), 4),
            }
            for name, values in {**volumes, **ratios}.items()
        }
    line["evaluated"] = {
        name: [len(losses) for losses in of_name] for name, of_name in runs.items()
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
