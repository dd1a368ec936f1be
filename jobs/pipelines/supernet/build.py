"""Building a search from its configuration: space, data, objectives, constraints. Reads only; every
mistake shows here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

import searchspaces
from evoray import searchers
from evoray.problem.contracts import check_space
from evoray.problem.feasible import check_feasible
from evoray.problem.fixed_genes import with_fixed_genes
from evoray.problem.problem import Problem
from evoray.searchers.parts.warm_start import read_prior
from evoray.training import samplers
from evoray.training.recipe.calibration import Calibration
from evoray.training.recipe.mixing import patch_grid
from evoray.training.recipe.teachers import Teacher
from evoray.training.tasks.base import Task
from jobs.pipelines.datasets import load_source
from jobs.pipelines.objectives import problem_of, timing_of, validation_of
from jobs.pipelines.spaces import fitted
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.pipelines.teachers import teachers_of
from objectives import complexity, latency_table
from objectives.base import DataSource, Needs
from searchspaces.base import SearchSpace


@dataclass(frozen=True)
class SearchSetup:
    """Objects that a configuration means.

    Attributes:
        space: Search space with the data's classes and channels, and the fixed genes.
        source: The data.
        task: Task that the supernet learns.
        problem: Objectives, costs, constraints.
        calibration: Recomputes a subnet's batch-norm statistics.
        teachers: Networks from outside.
    """

    space: SearchSpace
    source: DataSource
    task: Task
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
    source = load_source(config.data, image_size=config.data.image_size)
    space = fitted(space, source)
    space = with_fixed_genes(space, config.search.fixed)
    calibration = Calibration(
        source=source,
        num_images=config.measure.calibration_images,
        seed=config.seed,
        crop_padding=config.train.crop_padding,
        mirror=config.train.mirror,
    )
    task = config.task_of(source)
    problem = _problem(config, space, source, task, calibration, gpus)
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
    return SearchSetup(space, source, task, problem, calibration, teachers)


def _problem(
    config: SupernetSearch,
    space: SearchSpace,
    source: DataSource,
    task: Task,
    calibration: Calibration,
    gpus: float,
) -> Problem:
    options = config.measure
    needs = Needs(cpus=1.0, gpus=gpus)
    measured: tuple[Any, ...] = (  # Any: attributes of a class are no properties to mypy
        validation_of(
            task, space, source, calibration, limit=options.validation_limit, needs=needs
        ),
        timing_of(
            task,
            source.image_shape,
            batch_size=options.latency_batch,
            threads=options.latency_threads,
        ),
    )
    costs: tuple[Any, ...] = (
        complexity.Cost(space, "macs"),
        complexity.Cost(space, "params"),
        *(latency_table.build(space, path) for path in options.latency_tables),
    )
    offered = {
        "space": space,
        "source": source,
        "recalibrate": calibration,
        "input_shape": source.image_shape,
        "seed": config.seed,
    }
    return problem_of(
        space,
        measured,
        costs,
        targets=config.search.targets,
        others=options.objectives,
        constraints=config.search.constraints,
        offered=offered,
    )
