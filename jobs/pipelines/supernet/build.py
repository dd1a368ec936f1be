"""From a configuration to the objects of a search: space, data, objectives, constraints. Reads
only; every mistake shows here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch

import objectives
import searchspaces
from evoray import data, searchers
from evoray.distributed.shipping import check_ships
from evoray.problem.contracts import check_objective, check_space
from evoray.problem.feasibility import check_feasible
from evoray.problem.fixed_genes import with_fixed_genes
from evoray.problem.problem import Problem, parse_constraint
from evoray.searchers.parts.warm_start import read_prior
from evoray.training import samplers
from evoray.training.recipe.calibration import Calibration
from evoray.training.recipe.mixing import patch_grid
from evoray.training.recipe.teachers import Teacher
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.pipelines.supernet.teachers import teachers_of
from objectives import accuracy, complexity, latency, latency_table
from objectives.base import CostModel, DataSource, Needs, Objective
from searchspaces.base import SearchSpace


@dataclass(frozen=True)
class SearchSetup:
    """What a configuration means.

    Attributes:
        space: With the data's classes and channels, and the fixed genes.
        source: The data.
        problem: Objectives, costs, constraints.
        calibration: Recomputes a subnet's batch-norm statistics.
        teachers: Networks from outside.
    """

    space: SearchSpace
    source: DataSource
    problem: Problem
    calibration: Calibration
    teachers: tuple[Teacher, ...] = ()

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """The data of every task."""
        return (self.source,)


def build_setup(config: SupernetSearch, *, gpus: float = 0.0) -> SearchSetup:
    """Builds the parts; `gpus` is what one accuracy worker takes.

    Raises:
        ValueError: Something of the configuration does not exist, or nothing satisfies the
            constraints.
        FileNotFoundError: The data is not there.
    """
    space = searchspaces.load(config.space)
    check_space(space)
    options = config.data
    source = data.load(
        options.name,
        root=options.root,
        image_size=options.image_size,
        limit=options.limit,
        download=options.download,
    )
    space = fitted(space, source)
    space = with_fixed_genes(space, config.search.fixed)
    calibration = Calibration(
        source=source,
        num_images=config.measure.calibration_images,
        seed=config.seed,
        crop_padding=config.train.crop_padding,
        mirror=config.train.mirror,
    )
    measured: tuple[Any, ...] = (  # Any: attributes of a class are no properties to mypy
        accuracy.Accuracy(
            source,
            calibration,
            limit=config.measure.validation_limit,
            needs=Needs(cpus=1.0, gpus=gpus),
        ),
        latency.Latency(
            source.image_shape,
            batch_size=config.measure.latency_batch,
            threads=config.measure.latency_threads,
        ),
    )
    costs: tuple[Any, ...] = (
        complexity.Cost(space, "macs"),
        complexity.Cost(space, "params"),
        *(latency_table.build(space, path) for path in config.measure.latency_tables),
    )
    offered = {
        "space": space,
        "source": source,
        "recalibrate": calibration,
        "input_shape": source.image_shape,
        "seed": config.seed,
    }
    builtin = [*(objective.name for objective in measured), *(cost.name for cost in costs)]
    asked = _asked(config, offered, builtin)
    problem = Problem(
        space,
        (*measured, *(cast(Objective, o) for o in asked.values() if hasattr(o, "measure"))),
        (*costs, *(o for o in asked.values() if not hasattr(o, "measure"))),
        tuple(asked[text].name if text in asked else text for text in config.search.targets),
        tuple(parse_constraint(text) for text in config.search.constraints),
    )
    samplers.load(config.train.sampler, space, seed=config.seed, num_random=config.train.num_random)
    if config.train.mixing == "tokens":
        with torch.device("meta"):
            patch_grid(space.build_supernet())
    teachers = teachers_of(config.train, (space,), source, trust_code=config.trust_code)
    for name in config.search.searcher:
        searchers.load(
            name, problem, population=config.search.population, **config.search.own_options
        )
    read_prior(problem, config.search.warm_start)
    check_feasible(problem, config.seed)
    return SearchSetup(space, source, problem, calibration, teachers)


def own_paths(config: SupernetSearch) -> list[str]:
    """The import paths of a configuration: its space, and objectives that are in no folder of
    ours.
    """
    return [
        *searchspaces.own_paths([config.space]),
        *objectives.own_paths([*config.search.targets, *config.measure.objectives]),
    ]


def _asked(
    config: SupernetSearch, offered: Mapping[str, Any], builtin: Sequence[str]
) -> dict[str, Objective | CostModel]:
    """Objectives of a configuration beside the `builtin` ones, by the text that asks for them."""
    found: dict[str, Objective | CostModel] = {}
    known = [*objectives.REGISTRY.names(), *objectives.REGISTRY.faults()]
    for text in (*config.search.targets, *config.measure.objectives):
        target = text not in config.measure.objectives
        if (
            text in builtin
            or text in found
            or (target and text not in known and not objectives.own_paths([text]))
        ):
            continue  # Problem says what is no target
        made = found[text] = objectives.build(text, offered)
        check_objective(made)
        others = [*builtin, *(other.name for asked, other in found.items() if asked != text)]
        if made.name in others:
            raise ValueError(
                f"objective {text!r} is called {made.name!r}, as another one of this search: give "
                "it another name"
            )
        _check_writable(text, made.name)
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
            "digits and _ make a name, such as 'energy' "
            "or 'energy@pixel6'"
        )


def fitted(space: SearchSpace, source: DataSource) -> SearchSpace:
    """The space for this many classes and channels.

    Raises:
        ValueError: It is not for image classification.
    """
    fields: set[str] = (
        {f.name for f in dataclasses.fields(cast(Any, space))}
        if dataclasses.is_dataclass(space)
        else set()
    )  # Any: a dataclass
    wanted = (source.num_classes, source.image_shape[0])
    if (getattr(space, "num_classes", None), getattr(space, "in_channels", None)) == wanted:
        return space
    if not {"num_classes", "in_channels"} <= fields:
        raise ValueError(
            f"space {space.name!r} is not for image classification of {source.name!r}: it must be "
            "a dataclass with the fields num_classes "
            f"and in_channels, which are set to what the data has, {wanted[0]} and {wanted[1]}"
        )
    return cast(
        SearchSpace,
        dataclasses.replace(
            cast(Any, space), num_classes=source.num_classes, in_channels=source.image_shape[0]
        ),
    )
