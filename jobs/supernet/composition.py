"""From a configuration to the objects of a search: space, data, objectives, constraints. Reads only; every mistake shows here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import torch

import searchspaces
from evoray import data, searchers
from evoray.feasibility import check_feasible
from evoray.problem import Problem, parse_constraint
from evoray.restriction import restrict
from evoray.training import samplers
from evoray.training.calibration import Calibration
from evoray.training.distillation import check_teacher
from evoray.training.mixing import patch_grid
from evoray.warm_start import read_prior
from jobs.supernet.config import SupernetSearch
from objectives import accuracy, complexity, latency, latency_table
from objectives.base import CostModel, DataSource, Needs, Objective
from searchspaces.base import SearchSpace


@dataclass(frozen=True)
class Composition:
    """What a configuration means.

    Attributes:
        space: With the data's classes and channels, and the fixed genes.
        source: The data.
        problem: Objectives, costs, constraints.
        calibration: Recomputes a subnet's batch-norm statistics.
    """

    space: SearchSpace
    source: DataSource
    problem: Problem
    calibration: Calibration


def compose(config: SupernetSearch, *, gpus: float = 0.0) -> Composition:
    """Builds the parts; `gpus` is what one accuracy worker takes.

    Raises:
        ValueError: Something of the configuration does not exist, or nothing satisfies the constraints.
        FileNotFoundError: The data is not there.
    """
    space = searchspaces.load(config.space)
    options = config.data
    source = data.load(options.name, root=options.root, image_size=options.image_size, limit=options.limit, download=options.download)
    space = fitted(space, source)
    space = restrict(space, config.search.fixed)
    calibration = Calibration(
        source=source,
        num_images=config.measure.calibration_images,
        seed=config.seed,
        crop_padding=config.train.crop_padding,
        mirror=config.train.mirror,
    )
    measured = (
        accuracy.Accuracy(source, calibration, limit=config.measure.validation_limit, needs=Needs(cpus=1.0, gpus=gpus)),
        latency.Latency(source.image_shape, batch_size=config.measure.latency_batch, threads=config.measure.latency_threads),
    )
    costs = (
        complexity.Cost(space, "macs"),
        complexity.Cost(space, "params"),
        *(latency_table.build(space, path) for path in config.measure.latency_tables),
    )
    problem = Problem(
        space,
        cast(tuple[Objective, ...], measured),
        cast(tuple[CostModel, ...], costs),
        config.search.targets,
        tuple(parse_constraint(text) for text in config.search.constraints),
    )
    samplers.load(config.train.sampler, space, seed=config.seed, num_random=config.train.num_random)
    if config.train.mixing == "tokens":
        with torch.device("meta"):
            patch_grid(space.build_supernet())
    for path in config.train.teachers:
        check_teacher(path)
    for name in config.search.searcher:
        searchers.load(name, problem, population=config.search.population, **config.search.own_options)
    read_prior(problem, config.search.warm_start)
    check_feasible(problem, config.seed)
    return Composition(space, source, problem, calibration)


def fitted(space: SearchSpace, source: DataSource) -> SearchSpace:
    """The space for this many classes and channels.

    Raises:
        ValueError: It is not for image classification.
    """
    fields: set[str] = (
        {f.name for f in dataclasses.fields(cast(Any, space))} if dataclasses.is_dataclass(space) else set()
    )  # Any: a dataclass
    if not {"num_classes", "in_channels"} <= fields:
        raise ValueError(f"space {space.name!r} is not for image classification: it has no num_classes and in_channels")
    return cast(SearchSpace, dataclasses.replace(cast(Any, space), num_classes=source.num_classes, in_channels=source.image_shape[0]))
