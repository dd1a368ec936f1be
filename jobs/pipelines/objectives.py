"""Objectives by name: the problem of a job, with those that the command line names, and what the
networks of a task are validated by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import objectives
from evoray.distributed.cluster.shipping import check_ships
from evoray.problem.contracts import check_objective
from evoray.problem.problem import Problem, parse_constraint
from evoray.training.tasks.base import Task
from objectives.base import (
    CostModel,
    DataSource,
    Measurable,
    Needs,
    Recalibration,
    is_measured,
    values_of,
)
from searchspaces.base import SearchSpace


def problem_of(
    space: SearchSpace,
    measured: Sequence[Measurable],
    costs: Sequence[CostModel],
    *,
    targets: Sequence[str],
    others: Sequence[str] = (),
    constraints: Sequence[str] = (),
    offered: Mapping[str, Any],
) -> Problem:
    """Objectives and constraints of a search, all by name.

    Args:
        space: Space that is searched.
        measured: Objectives that the system brings.
        costs: Cost models that it brings.
        targets: Values to optimise: names of the system's own, of files in objectives/, or import
            paths (all values of what they lead to), or names of others' values.
        others: Objectives that are recorded and may be constrained without being targets, named as
            there.
        constraints: Bounds such as "macs<=2e6".
        offered: Objects for the parameters of these names, where an objective asks for them.

    Raises:
        ValueError: One is not there, or two have one name.
    """
    brought: list[Measurable | CostModel] = [*measured, *costs]
    builtin = [name for one in brought for name in _names(one)]
    named = _named(targets, others, offered, builtin)
    return Problem(
        space,
        (*measured, *(cast(Measurable, one) for one in named.values() if is_measured(one))),
        (*costs, *(cast(CostModel, one) for one in named.values() if not is_measured(one))),
        tuple(
            name for text in targets for name in (_names(named[text]) if text in named else [text])
        ),
        tuple(parse_constraint(text) for text in constraints),
    )


def validation_of(
    task: Task,
    space: SearchSpace,
    source: DataSource,
    recalibrate: Recalibration | None,
    *,
    split: str = "val",
    limit: int | None = None,
    needs: Needs | None = None,
) -> Measurable:
    """The objective by which a task's networks are measured; its first value stands for all.

    Args:
        task: Task that names the objective.
        space: Space of the networks.
        source: The data.
        recalibrate: Recomputes a network's batch-norm statistics; None leaves them.
        split: Split of the data to measure on.
        limit: Examples at most; None for all.
        needs: Resources of one worker.

    Raises:
        ValueError: There is no such objective.
    """
    offered = {
        "space": space,
        "source": source,
        "recalibrate": recalibrate,
        "split": split,
        "limit": limit,
        "needs": needs,
    }
    return cast(Measurable, objectives.build(task.validated_by, offered))


def timing_of(
    task: Task, input_shape: tuple[int, int, int], *, batch_size: int = 1, threads: int = 1
) -> Measurable:
    """The objective by which a task's networks are timed.

    Args:
        task: Task that names the objective.
        input_shape: Channels, height and width of an image.
        batch_size: Images in one timed forward pass.
        threads: Threads of that pass.

    Raises:
        ValueError: There is no such objective.
    """
    offered = {"input_shape": input_shape, "batch_size": batch_size, "threads": threads}
    return cast(Measurable, objectives.build(task.timed_by, offered))


def _names(one: Measurable | CostModel) -> list[str]:
    return [value.name for value in values_of(one)]


def _named(
    targets: Sequence[str], others: Sequence[str], offered: Mapping[str, Any], builtin: list[str]
) -> dict[str, Measurable | CostModel]:
    """Objectives beside the `builtin` ones, by the text that asks for them."""
    found: dict[str, Measurable | CostModel] = {}
    known = [*objectives.REGISTRY.names(), *objectives.REGISTRY.faults()]
    for text in dict.fromkeys((*targets, *others)):
        is_known = text in others or text in known or objectives.own_paths([text])
        if text in builtin or not is_known:
            continue  # Problem says what is no target
        made = objectives.build(text, offered)
        check_objective(made)
        others = [*builtin, *(name for other in found.values() for name in _names(other))]
        for name in _names(made):
            if name in others:
                raise ValueError(
                    f"objective {text!r} is called {name!r}, as another one of this search: give "
                    "it another name"
                )
            _check_writable(text, name)
        found[text] = made
        check_ships(made, f"objective {text!r}")
    return found


def _check_writable(text: str, name: str) -> None:
    """
    Raises:
        ValueError: A constraint could not name it.
    """
    try:
        read = parse_constraint(f"{name}<=1").name
    except ValueError:
        read = ""
    if read != name:
        raise ValueError(
            f"objective {text!r} is called {name!r}, which no constraint could name: letters, "
            "digits and _ make a name, such as 'energy' or 'energy@pixel6'"
        )
