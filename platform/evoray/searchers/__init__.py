"""Searchers: one algorithm a file; this folder is the registry. `searchers.load("nsga2", problem,
seed=0)` builds one.

A file `random_search.py` is known as "random": no file may bear a standard library's name.
"""

from __future__ import annotations

import inspect
from typing import Any, cast

from evoray.problem.problem import Problem
from evoray.searchers.base import Searcher
from searchspaces.base import nearest
from searchspaces.plugins.registry import Registry

REGISTRY = Registry("evoray.searchers", "searcher")


def names() -> list[str]:
    """The searchers that exist, sorted."""
    return sorted(name.removesuffix("_search") for name in REGISTRY.names())


def default(problem: Problem) -> str:
    """Chooses the searcher that suits a problem: a surrogate where measuring is dear, NSGA-II where
    everything is computed, NSGA-III from four targets on.
    """
    if problem.measured:
        return "predictor"
    return "nsga2" if len(problem.targets) < 4 else "pymoo_algorithm"


def default_population(name: str) -> int:
    """Candidates a generation: few where the searcher learns from each of them."""
    return 8 if name == "predictor" else 32


def load(
    name: str, problem: Problem, *, seed: int = 0, population: int = 32, **options: Any
) -> Searcher:
    """A fresh searcher; `options` are the algorithm's own.

    Raises:
        ValueError: There is no such searcher, or it has no such option.
    """
    known = [*REGISTRY.names(), *REGISTRY.faults()]
    if name not in names() and name not in known:
        raise ValueError(f"no searcher {name!r}; {nearest(name, names())}")
    build = REGISTRY.module(
        next(file for file in known if file.removesuffix("_search") == name.removesuffix("_search"))
    ).build
    takes = [
        p for p in inspect.signature(build).parameters if p not in ("problem", "seed", "population")
    ]
    for option in options:
        if option not in takes:
            raise ValueError(
                f"searcher {name!r} has no option {option!r}; {nearest(option, takes)}"
            )
    return cast(Searcher, build(problem, seed=seed, population=population, **options))
