"""The arguments of `evoray.search`: each is checked before anything is written or started."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from evoray.distributed.cluster.address import check_address
from evoray.engine.schedule import Migration
from evoray.evaluation.evaluator import Evaluator
from evoray.evaluation.successive_halving import Halving
from evoray.problem.contracts import check_evaluator, check_objective, check_space
from evoray.problem.identity import differences, identity
from evoray.problem.plain_values import whole
from evoray.problem.problem import Constraint
from evoray.records.run_folder import RunFolder
from objectives.base import CostModel, Measurable
from searchspaces.base import SearchSpace


def check(
    space: Any,
    objectives: Any,
    constraints: Any,
    evaluator: Any,
    cluster: Any,
    warm_start: Any,
    **others: Any,
) -> None:  # Any: whatever a user hands in
    """
    Raises:
        ValueError: One of them is not what it should be.
    """
    _check_parts(space, objectives, constraints, evaluator)
    _check_cluster(cluster, evaluator)
    for argument, value in others.items():
        _check_kind(argument, value)
    if isinstance(warm_start, str | bytes | os.PathLike):
        raise ValueError(
            f"warm_start must be a list of run folders, got {warm_start!r}: write [...] around a "
            "single one"
        )


def sizes(
    evaluations: int, population: int | None, num_shards: int, seed: int
) -> tuple[int, int | None, int, int]:
    """The numbers of a search as Python's, whoever wrote them."""
    least = 1
    return (
        whole(evaluations, "evaluations", least),
        None if population is None else whole(population, "population", least),
        whole(num_shards, "num_shards", least),
        whole(seed, "seed"),
    )


def _check_parts(
    space: Any, objectives: Any, constraints: Any, evaluator: Any
) -> None:  # Any: whatever a user hands in
    check_space(space)
    for name, value, kind in (
        ("objectives", objectives, "objectives and cost models"),
        ("constraints", constraints, "evoray.Constraint"),
    ):
        if not isinstance(value, Sequence) or isinstance(value, str):
            raise ValueError(
                f"{name} must be a list of {kind}, got {type(value).__qualname__}: write [...] "
                "around a single one"
            )
    for objective in objectives:
        check_objective(objective)
    for constraint in constraints:
        if not isinstance(constraint, Constraint):
            raise ValueError(
                'constraints must be evoray.Constraint, such as Constraint("macs", at_most=2e6), '
                f"got {constraint!r}"
            )
    if evaluator is not None:
        check_evaluator(evaluator)


def _check_cluster(cluster: Any, evaluator: Any) -> None:  # Any: whatever a user hands in
    if cluster is None:
        return
    if not isinstance(cluster, str) or not cluster:
        raise ValueError(
            'cluster must be "local", "auto", HOST:PORT of a Ray cluster, or None for this '
            f"process, got {cluster!r}"
        )
    check_address(cluster, "cluster")
    if evaluator is not None:
        raise ValueError(
            f"evaluator and cluster both say where to measure, got {type(evaluator).__qualname__} "
            f"and {cluster!r}: leave one out"
        )


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "searcher_options": (Mapping, "a dict of the searcher's options by name"),
    "migration": (Migration, "an evoray.engine.schedule.Migration"),
    "halving": (Halving, "an evoray.evaluation.successive_halving.Halving"),
    "supernet": (nn.Module, "a torch module with trained weights"),
    "run_dir": ((str, os.PathLike), "the path of a folder"),
}


def _check_kind(argument: str, value: Any) -> None:  # Any: whatever a user hands in
    kind, expected = _KINDS[argument]
    if value is not None and not isinstance(value, kind):
        raise ValueError(
            f"{argument} must be {expected}, or None, got {type(value).__qualname__} {value!r:.200}"
        )


def identities(
    space: SearchSpace, objectives: Sequence[Measurable | CostModel], evaluator: Evaluator | None
) -> dict[str, Any]:
    """JSON of what the user's objects are, by name; evoray's own evaluators measure alike and are
    left out.
    """
    objects = {"space": identity(space), **{o.name: identity(o) for o in objectives}}
    if evaluator is not None and not type(evaluator).__module__.startswith("evoray."):
        objects["evaluator"] = identity(evaluator)
    return objects


def names(value: Any, argument: str) -> tuple[str, ...]:  # Any: whatever a user hands in
    if (
        isinstance(value, str)
        or not isinstance(value, Sequence)
        or not all(isinstance(name, str) for name in value)
    ):
        raise ValueError(f"{argument} must be a list of names, got {value!r:.200}")
    return tuple(value)


def check_folder(folder: RunFolder, job: Mapping[str, Any]) -> None:
    """
    Raises:
        ValueError: It holds another search; names what differs.
        FileExistsError: It holds something else.
    """
    if not (folder.path / "job.json").is_file():
        folder.check_free()
        return
    before = folder.job()
    changed = [name for name in job if name != "objects" and before.get(name) != job[name]]
    if changed:
        raise ValueError(
            f"run folder {folder.path} holds another search (other {', '.join(changed)}): choose "
            "another run_dir"
        )
    if "objects" not in before:  # of a version that did not write them
        return
    found = differences(before["objects"], job["objects"])
    if found:
        raise ValueError(
            f"run folder {folder.path} holds values of other objects ({'; '.join(found[:3])}), "
            "which must not be mixed: "
            "choose another run_dir, or hand in what it was started with"
        )
