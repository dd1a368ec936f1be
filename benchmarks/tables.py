"""Hypervolume per evaluation on synthetic tables, whose exact front is known, beside pymoo and
Optuna; one JSON line.

    evoray bench tables [--tables cell stages epistasis] [--seeds 5] [--evaluations 1000]

Two values are minimised, both measured. Each entry is the share of the exact front's hypervolume
(values scaled to [0, 1], reference 1.1) after 100, 300 and 1,000 evaluations of distinct networks:
median over the seeds, every seed with a table of its own. What a peer proposes again is answered
from memory and does not count; TPE stops at --tpe-evaluations, because its time grows with their
square.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling

from benchmarks.parts.tables import TABLES, Table, tabular_problem
from evoray import searchers
from evoray.records.records import Record, Records
from searchspaces.base import Choices, key_array

NAMES = ("top1_error", "latency")
MARKS = (100, 300, 1000)
_PATIENCE = 200  # repeats in a row until a peer counts as stuck


def with_evoray(
    table: Table, searcher: str, population: int, seed: int, evaluations: int
) -> list[str]:
    """Keys of distinct networks in the order of evaluation."""
    found = searchers.load(
        searcher, tabular_problem(table, NAMES), seed=seed, population=population
    )
    keys: list[str] = []
    while len(keys) < evaluations:
        rows = found.ask(min(population, evaluations - len(keys)))
        if len(rows) == 0:
            break
        asked = [key.decode() for key in key_array(table, rows).tolist()]
        records = [
            Record(
                key=key,
                choices=tuple(row.tolist()),
                values=dict(zip(NAMES, values_of(table, key), strict=True)),
            )
            for key, row in zip(asked, rows, strict=True)
        ]
        found.tell(Records.of(records, len(table.genes)))
        keys += asked
    return keys


def values_of(table: Table, key: str) -> list[float]:
    return [float(table.values[name][table.index[key.encode()]]) for name in NAMES]


def canonical(table: Table, rows: Choices) -> list[str]:
    return [key.decode() for key in key_array(table, table.repair(rows)).tolist()]


def with_pymoo(table: Table, seed: int, evaluations: int) -> list[str]:
    """pymoo's NSGA-II, population 32, its integer operators and its own duplicate check."""
    counts = np.array([len(gene.options) for gene in table.genes])
    problem = PymooProblem(n_var=len(counts), n_obj=2, xl=0, xu=counts - 1, vtype=int)
    algorithm = NSGA2(
        pop_size=32,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
        mutation=PM(eta=20, vtype=float, repair=RoundingRepair()),
    )
    algorithm.setup(problem, termination=NoTermination(), seed=seed + 1, verbose=False)
    keys: dict[str, None] = {}
    stuck = 0
    while len(keys) < evaluations and stuck < _PATIENCE:
        before = len(keys)
        generation = algorithm.ask()
        asked = canonical(table, generation.get("X").astype(np.int16))
        keys.update(dict.fromkeys(asked))
        generation.set("F", np.array([values_of(table, key) for key in asked]))
        algorithm.tell(infills=generation)
        stuck = stuck + 1 if len(keys) == before else 0
    return list(keys)[:evaluations]


def with_optuna(table: Table, sampler: Any, evaluations: int) -> list[str]:
    """One of Optuna's samplers; genes with an order are integers, the others categories."""
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=sampler)
    keys: dict[str, None] = {}
    stuck = 0
    while len(keys) < evaluations and stuck < _PATIENCE:
        before = len(keys)
        trial = study.ask()
        row = [
            trial.suggest_int(gene.name, 0, len(gene.options) - 1)
            if isinstance(gene.options[0], int)
            else trial.suggest_categorical(gene.name, list(range(len(gene.options))))
            for gene in table.genes
        ]
        key = canonical(table, np.array([row], dtype=np.int16))[0]
        keys[key] = None
        study.tell(trial, values_of(table, key))
        stuck = stuck + 1 if len(keys) == before else 0
    return list(keys)[:evaluations]


def ways(evaluations: int, tpe_evaluations: int) -> dict[str, Callable[[Table, int], list[str]]]:
    return {
        "predictor": lambda table, seed: with_evoray(table, "predictor", 8, seed, evaluations),
        "nsga2": lambda table, seed: with_evoray(table, "nsga2", 32, seed, evaluations),
        "random": lambda table, seed: with_evoray(table, "random", 32, seed, evaluations),
        "pymoo_nsga2": lambda table, seed: with_pymoo(table, seed, evaluations),
        "optuna_nsga2": lambda table, seed: with_optuna(
            table, optuna.samplers.NSGAIISampler(population_size=32, seed=seed), evaluations
        ),
        "optuna_tpe": lambda table, seed: with_optuna(
            table, optuna.samplers.TPESampler(seed=seed), tpe_evaluations
        ),
    }


def compare(
    name: str, seeds: Sequence[int], evaluations: int, tpe_evaluations: int
) -> dict[str, Any]:
    """Median share and spread at each mark, and seconds a run, for every way."""
    found: dict[str, Any] = {}
    tables = {seed: TABLES[name](seed) for seed in seeds}
    for way, evolve in ways(evaluations, tpe_evaluations).items():
        start = time.perf_counter()
        keys = {seed: evolve(tables[seed], seed) for seed in seeds}
        seconds = (time.perf_counter() - start) / len(seeds)
        entry: dict[str, Any] = {"seconds": round(seconds, 1)}
        for mark in MARKS:
            shares = [
                tables[seed].share(keys[seed][:mark], NAMES)
                for seed in seeds
                if len(keys[seed]) >= mark
            ]
            if shares:
                entry[str(mark)] = [
                    round(value, 5)
                    for value in (statistics.median(shares), min(shares), max(shares))
                ]
        found[way] = entry
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench tables")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--evaluations", type=int, default=1000)
    parser.add_argument("--tpe-evaluations", type=int, default=300)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    line: dict[str, Any] = {
        "benchmark": "tables",
        "entries": "median, min, max over the seeds",
        "seeds": options.seeds,
    }
    for name in options.tables:
        line[name] = compare(name, seeds, options.evaluations, options.tpe_evaluations)
    print(json.dumps(line))


if __name__ == "__main__":
    main()
