"""Searchers: one algorithm a file; this folder is the registry. `searchers.load("nsga2", problem, seed=0)` builds one.

A file `random_search.py` is known as "random": no file may bear a standard library's name.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any, cast

from evoray.problem import Problem
from evoray.searchers.base import Searcher
from searchspaces.base import nearest


def names() -> list[str]:
    """The searchers that exist, sorted."""
    return sorted(m.name.removesuffix("_search") for m in pkgutil.iter_modules(__path__) if m.name != "base")


def default(problem: Problem) -> str:
    """What suits a problem: a surrogate where measuring is dear, NSGA-II where everything is computed, NSGA-III from four targets on."""
    if problem.measured:
        return "predictor"
    return "nsga2" if len(problem.targets) < 4 else "pymoo_algorithm"


def default_population(name: str) -> int:
    """Candidates a generation: few where the searcher learns from each of them."""
    return 8 if name == "predictor" else 32


def load(name: str, problem: Problem, *, seed: int = 0, population: int = 32, **options: Any) -> Searcher:
    """A fresh searcher; `options` are the algorithm's own.

    Raises:
        ValueError: There is no such searcher, or it has no such option.
    """
    if name not in names():
        raise ValueError(f"no searcher {name!r}; {nearest(name, names())}")
    files = {m.name.removesuffix("_search"): m.name for m in pkgutil.iter_modules(__path__)}
    build = importlib.import_module(f"evoray.searchers.{files[name]}").build
    known = [p for p in inspect.signature(build).parameters if p not in ("problem", "seed", "population")]
    for option in options:
        if option not in known:
            raise ValueError(f"searcher {name!r} has no option {option!r}; {nearest(option, known)}")
    return cast(Searcher, build(problem, seed=seed, population=population, **options))
