"""Building a co-search from its configuration: space, tasks, cost model, study. Reads only; every
mistake shows here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

import searchspaces
from evoray import searchers, variation
from evoray.data.parts.images import with_classes
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.shared import direct
from evoray.problem.fixed_genes import with_fixed_genes
from evoray.seeds import generator_for
from evoray.training import samplers, tasks
from evoray.training.recipe.calibration import Calibration
from evoray.training.recipe.teachers import Teacher
from jobs.pipelines.cosearch.config import ChipOptions, CoSearch, TaskOptions
from jobs.pipelines.cosearch.from_scratch import TrainedFromScratch
from jobs.pipelines.cosearch.methods import METHODS
from jobs.pipelines.cosearch.study import Study
from jobs.pipelines.datasets import load_source
from jobs.pipelines.objectives import validation_of
from jobs.pipelines.spaces import fitted
from jobs.pipelines.teachers import teachers_of
from objectives import asic
from objectives.asic.inner import ChipSearch
from objectives.asic.specs import METRICS, Specs
from objectives.base import LabelledSource, Needs, Objective
from objectives.tasks import TaskObjective, WeightedMean
from searchspaces.base import SearchSpace, builds, nearest
from searchspaces.parts.product import Product

# network tuples for which the best chips are looked for, before specs count as out of reach
_PROBES = 256


@dataclass(frozen=True)
class WorkloadTask:
    """One task of a workload.

    Attributes:
        label: Label of its network in the joint space.
        supernet: Folder name of its supernet; tasks of one data set with the same networks and
            recipe have one.
        space: Space of its networks, for the data's classes and size.
        source: The data.
        options: Configuration of the task.
        calibration: Recomputes the batch-norm statistics of its networks.
        objective: Objective that measures its networks.
        teachers: Networks from outside.
    """

    label: str
    supernet: str
    space: SearchSpace
    source: LabelledSource
    options: TaskOptions
    calibration: Calibration
    objective: Objective
    teachers: tuple[Teacher, ...] = ()


@dataclass(frozen=True)
class SearchSetup:
    """Objects that a configuration means.

    Attributes:
        tasks: Tasks in the order of the space.
        study: The problem; its evaluator measures untrained networks, until a pipeline gives it
            another.
        space: The study's, with the fixed genes.
    """

    tasks: tuple[WorkloadTask, ...]
    study: Study
    space: SearchSpace

    @property
    def sources(self) -> tuple[LabelledSource, ...]:
        """The data of every task."""
        return tuple(task.source for task in self.tasks)


def build_setup(config: CoSearch, *, gpus: float = 0.0) -> SearchSetup:
    """Builds the parts; `gpus` is what one accuracy worker takes.

    Raises:
        ValueError: Something of the configuration does not exist, or no design meets the specs; the
            nearest that can be met are named.
        FileNotFoundError: The data is not there.
    """
    joint = searchspaces.load(config.space)
    labels = list(joint.networks) if isinstance(joint, Product) else []
    if (
        not isinstance(joint, Product)
        or len(labels) != 2
        or not any(hasattr(part, "singles") for part in joint.parts)
    ):
        raise ValueError(
            f"space {config.space!r} is no joint space of two networks and a chip; nasaic:digits, "
            "nasaic:w1, nasaic:w2 and nasaic:w3 are"
        )
    tasks = _tasks(joint, labels, config, gpus)
    space = _fitted(joint, tasks, config.chip)
    study = _study(space, tasks, config.chip)
    for method in config.search.compare:
        if method not in METHODS:
            raise ValueError(f"search.compare: no method {method!r}; {nearest(method, METHODS)}")
    if config.search.chips == "exact":
        chip_label = next(
            label for label, part in zip(space.labels, space.parts, strict=True) if not builds(part)
        )
        pinned = [text for text in config.search.fixed if text.startswith(f"{chip_label}.")]
        if pinned:
            raise ValueError(
                f"search.fixed {pinned[0]!r} fixes a gene of the chip, which the exact inner "
                "search chooses: --search.chips genes"
            )
    restricted = with_fixed_genes(space, config.search.fixed)
    check_specs(study, restricted, config.seed)
    searchers.load(
        config.search.searcher,
        study.problem(restricted),
        seed=config.seed,
        population=config.search.population,
    )
    return SearchSetup(tasks, study, restricted)


def check_specs(study: Study, space: SearchSpace, seed: int) -> None:
    """Looks for one design that meets the specs: the smallest networks, and drawn ones, each with
    the chips that suit it best.

    Raises:
        ValueError: None was found; the nearest specs that a design meets are named.
    """
    kinds = variation.GeneKinds.of(space.genes)
    drawn = variation.sample(kinds, _PROBES, generator_for(seed, "feasibility"))
    rows = space.repair(np.concatenate([np.zeros((1, len(kinds.counts)), dtype=np.int16), drawn]))
    order = np.argsort(study.space.costs(rows)["macs"], kind="stable")
    inner = ChipSearch(study.model, study.specs, directions=((1.0, 1.0, 1.0),), most_priced=1024)
    for row in rows[order[:8]]:
        if len(inner(row[None])[0]):
            return
    unbounded = ChipSearch(
        study.model,
        Specs(),
        directions=((1.0, 1.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    )
    best = np.concatenate([unbounded(rows[order[:1]])[0], rows])
    costs = study.costs(best)
    values = {metric: costs[f"asic_{metric}"] for metric in METRICS}
    near = study.specs.nearest_met(values)
    wanted = ", ".join(
        f"{name} {getattr(study.specs, name):g}"
        for name in METRICS
        if np.isfinite(getattr(study.specs, name))
    )
    reached = ", ".join(
        f"{name} {getattr(near, name):g}" for name in METRICS if np.isfinite(getattr(near, name))
    )
    raise ValueError(
        f"no design of space {space.name!r} was found that meets the specs {wanted}, not even with "
        "the smallest networks; the nearest specs "
        f"that one meets are {reached}: loosen --chip.latency, --chip.energy or --chip.area"
    )


def _tasks(
    joint: Product, labels: list[str], config: CoSearch, gpus: float
) -> tuple[WorkloadTask, ...]:
    found: list[WorkloadTask] = []
    for place, label in zip(("first", "second"), labels, strict=True):
        options: TaskOptions = getattr(config, place)
        task = _task(joint, label, place, options, config, gpus)
        same = (
            other.supernet
            for other in found
            if (other.space, other.source, other.options.train)
            == (task.space, task.source, options.train)
        )
        found.append(dataclasses.replace(task, supernet=next(same, label)))
    return tuple(found)


def _task(
    joint: Product, label: str, place: str, options: TaskOptions, config: CoSearch, gpus: float
) -> WorkloadTask:
    """The task of the options that stand at `place`, with a supernet of its own.

    Raises:
        ValueError: Data, space and recipe do not fit each other.
    """
    part: Any = joint.networks[label]  # ResNet9 or UNet, dataclasses with the fields asked below
    size = options.data.image_size or part.image_size
    source = with_classes(load_source(options.data, f"{place}.data", image_size=size))
    learned = tasks.of(source, options.train)
    segments = learned.name == "segmentation"
    if segments != hasattr(part, "out_channels"):
        kinds = ("segmentation", "classification")
        raise ValueError(
            f"task {label!r} of space {joint.name!r} is "
            f"{kinds[not hasattr(part, 'out_channels')]}, and data source "
            f"{options.data.name!r} is for {kinds[not segments]}: choose other data"
        )
    space = fitted(dataclasses.replace(part, image_size=source.image_shape[1]), source)
    samplers.load(
        options.train.sampler, space, seed=config.seed, num_random=options.train.num_random
    )
    calibration = Calibration(
        source=source,
        num_images=options.calibration_images,
        seed=config.seed,
        crop_padding=options.train.crop_padding,
        mirror=options.train.mirror,
    )
    teachers = teachers_of(options.train, (space,), source, trust_code=config.trust_code)
    validation = validation_of(
        learned,
        space,
        source,
        calibration,
        limit=options.validation_limit,
        needs=Needs(cpus=1.0, gpus=gpus),
    )
    objective = cast(Objective, validation)  # tasks with classes have one value
    if config.accuracy == "scratch":
        objective = TrainedFromScratch(objective, source, options.train, config.seed, teachers)
    return WorkloadTask(label, label, space, source, options, calibration, objective, teachers)


def _fitted(joint: Product, tasks: tuple[WorkloadTask, ...], options: ChipOptions) -> Product:
    """The joint space with the tasks' own spaces and the chip as configured."""
    own = {task.label: task.space for task in tasks}
    chip = {
        "num_slots": options.slots,
        "same_dataflow": options.same_dataflow,
        "most_units": options.units,
        "most_bandwidth": options.bandwidth,
    }
    parts = tuple(
        own[label] if label in own else dataclasses.replace(cast(Any, part), **chip)
        for label, part in zip(joint.labels, joint.parts, strict=True)
    )
    return dataclasses.replace(joint, parts=parts)


def _study(space: Product, tasks: tuple[WorkloadTask, ...], options: ChipOptions) -> Study:
    limits = {name: getattr(options, name) for name in METRICS}
    specs = Specs(**{name: np.inf if limit is None else limit for name, limit in limits.items()})
    model = asic.build(
        space, constants=options.constants, noc_scope=options.noc_scope, latency_limit=specs.latency
    ).model

    def objectives(joint: Product) -> tuple[Objective, ...]:
        measured = [
            TaskObjective(joint, task.label, task.objective, data=task.supernet) for task in tasks
        ]
        weights = {one.name: task.options.weight for one, task in zip(measured, tasks, strict=True)}
        return (*measured, WeightedMean(weights))

    return Study(space, specs, model, objectives, lambda problem: LocalEvaluator(direct(problem)))
