"""Checks that objects of the user's own fit their contracts, before anything is measured or
written, and names what is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evoray import variation
from evoray.seeds import generator_for
from objectives.base import Goal, Value, is_measured
from searchspaces.base import Gene, HasDecodingGenes, SearchSpace

_SAMPLES = 256  # rows on which `repair` is tried


def check_space(space: Any) -> None:  # Any: whatever a user hands in
    """
    Raises:
        ValueError: It lacks something of `searchspaces.base.SearchSpace`, or its `repair` breaks
            the contract.
    """
    _check_members(
        space, "space", ("name", "genes"), ("repair", "costs", "build_supernet", "build_subnet")
    )
    _check_name(space.name, "space")
    genes = space.genes
    if (
        not isinstance(genes, Sequence)
        or isinstance(genes, str)
        or not all(isinstance(gene, Gene) for gene in genes)
    ):
        raise ValueError(
            f"space {space.name!r} needs a tuple of searchspaces.base.Gene as genes, got "
            f"{genes!r:.200}"
        )
    names = [gene.name for gene in genes]
    if not names or len(set(names)) != len(names):
        raise ValueError(
            f"space {space.name!r} needs genes with distinct names and at least one, got {names}"
        )
    if isinstance(space, HasDecodingGenes):
        _check_decoding_genes(space.decoding_genes, names)
    _check_repair(space)


def _check_decoding_genes(decoding: Sequence[str], names: Sequence[str]) -> None:
    if len(set(decoding)) == len(names) or not set(decoding) <= set(names):
        raise ValueError(
            f"a space needs names of some of its genes as decoding_genes, got {list(decoding)}; it "
            f"has {list(names)}"
        )


def check_objective(objective: Any) -> None:
    """
    Raises:
        ValueError: It fits neither `objectives.base.Objective` nor `objectives.base.CostModel`.
    """
    kind = "objective" if is_measured(objective) else "cost model"
    if kind == "cost model" and not hasattr(objective, "evaluate"):
        raise ValueError(
            f"{_called(objective)} is neither an objective, which has a method measure(candidate), "
            "nor a cost model, which has a method evaluate(choices): add one of them"
        )
    has_several = kind == "objective" and hasattr(objective, "yields")
    needed = () if kind == "cost model" else ("needs",)
    methods = ("evaluate",) if kind == "cost model" else ("open", "measure")
    _check_members(
        objective, kind, ("name", *(() if has_several else ("unit", "goal")), *needed), methods
    )
    _check_name(objective.name, kind)
    for value in _yielded(objective) if has_several else (objective,):
        of = kind if value is objective else f"value of objective {objective.name!r}"
        _check_name(value.name, of)
        _check_unit_and_goal(value, of)
    if kind == "objective" and not all(
        hasattr(objective.needs, part) for part in ("cpus", "gpus", "memory", "label")
    ):
        raise ValueError(
            f"objective {objective.name!r} needs objectives.base.Needs(...) as needs, got "
            f"{objective.needs!r}"
        )


def _yielded(objective: Any) -> Sequence[Value]:
    values = objective.yields
    names = (
        [value.name for value in values]
        if isinstance(values, list | tuple) and all(isinstance(v, Value) for v in values)
        else []
    )
    if not names or len(set(names)) != len(names):
        raise ValueError(
            f"objective {objective.name!r} needs a tuple of objectives.base.Value with distinct "
            f"names, at least one, as yields, got {values!r:.200}"
        )
    return tuple(values)


def _check_unit_and_goal(value: Any, kind: str) -> None:
    if not isinstance(value.unit, str):
        raise ValueError(
            f'{kind} {value.name!r} needs a text as unit, such as "ms" or "", got {value.unit!r}'
        )
    goals = [goal.value for goal in Goal]
    if not isinstance(value.goal, Goal) and value.goal not in goals:
        raise ValueError(
            f"{kind} {value.name!r} needs a goal of {' or '.join(goals)}, got {value.goal!r}"
        )


def check_searcher(searcher: Any) -> None:
    """
    Raises:
        ValueError: It lacks a method of `evoray.searchers.base.Searcher`.
    """
    _check_members(searcher, "searcher", (), ("ask", "tell", "state", "restore"))


def check_evaluator(evaluator: Any) -> None:
    """
    Raises:
        ValueError: It lacks a method of `evoray.evaluation.evaluator.Evaluator`.
    """
    _check_members(evaluator, "evaluator", (), ("submit", "collect", "close"))


def option_counts(space: SearchSpace) -> NDArray[np.int64]:
    """(g,) how many options each gene has."""
    return np.array([len(gene.options) for gene in space.genes], dtype=np.int64)


def check_choices(space: SearchSpace, counts: NDArray[np.int64], choices: Any, source: str) -> None:
    """Checks that these are option indices of the space's genes, which have `counts` options.

    Raises:
        ValueError: They are of another shape or type, or an index has no option. `source` says
            whose they are.
    """
    if not isinstance(choices, np.ndarray) or choices.ndim != 2 or choices.shape[1] != len(counts):
        shape = getattr(choices, "shape", type(choices).__name__)
        raise ValueError(
            f"{source} must return an (n, {len(counts)}) array, a column for each gene of space "
            f"{space.name!r}, got {shape}"
        )
    if choices.dtype.kind not in "iu":
        raise ValueError(
            f"{source} must return whole numbers (int16), indices into each gene's options, got "
            f"{choices.dtype}"
        )
    wrong = (choices < 0) | (choices >= counts)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        gene = space.genes[column]
        raise ValueError(
            f"{source} must return indices of options: gene {gene.name!r} of space {space.name!r} "
            f"has {len(gene.options)}, "
            f"so 0 to {len(gene.options) - 1}, got {choices[row, column]}"
        )


def _check_repair(space: SearchSpace) -> None:
    source = f"repair of space {space.name!r}"
    kinds = variation.GeneKinds.of(space.genes)
    corners = np.stack([np.zeros_like(kinds.counts), kinds.counts - 1]).astype(np.int16)
    rows = np.concatenate(
        [corners, variation.sample(kinds, _SAMPLES, generator_for(0, "contract"))]
    )
    once = space.repair(rows.copy())
    check_choices(space, option_counts(space), once, source)
    if len(once) != len(rows):
        raise ValueError(
            f"{source} must return as many rows as it gets, got {len(once)} for {len(rows)}"
        )
    twice = space.repair(once.copy())
    if not np.array_equal(once, twice):
        row = int(np.flatnonzero((once != twice).any(axis=1))[0])
        raise ValueError(
            f"{source} must be idempotent, so that one network has one key: {rows[row].tolist()} "
            f"became {once[row].tolist()}, "
            f"and that {twice[row].tolist()}"
        )


def _check_members(
    value: Any, kind: str, attributes: Sequence[str], methods: Sequence[str]
) -> None:
    called = _called(value)
    if isinstance(value, type):
        raise ValueError(
            f"the {kind} must be an object, got the class {value.__qualname__}: write "
            f"{value.__qualname__}(...)"
        )
    missing = [f"the attribute {name!r}" for name in attributes if not hasattr(value, name)]
    missing += [
        f"the method {name}()" for name in methods if not callable(getattr(value, name, None))
    ]
    if missing:
        raise ValueError(f"{called} is no {kind}: it lacks {' and '.join(missing)}")


def _check_name(name: Any, kind: str) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ValueError(f"the name of the {kind} must be a printable text, got {name!r}")


def _called(value: Any) -> str:
    name = getattr(value, "name", None)
    kind = value.__qualname__ if isinstance(value, type) else type(value).__qualname__
    return f"{kind} {name!r}" if isinstance(name, str) else kind
