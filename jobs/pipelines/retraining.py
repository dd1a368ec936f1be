"""One network of a run trained alone: from fresh weights, those of the supernet, or those of an
earlier training at another resolution.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from evoray.distributed.training import train_on_ray
from evoray.records.run_files import Exported, Recipe, read_object
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.weights_digest import check_weights
from evoray.results import picking
from evoray.results.export import export
from evoray.training import checkpoints
from evoray.training.config import TrainConfig
from evoray.training.recipe.calibration import Calibration
from evoray.training.recipe.teachers import Teacher
from evoray.training.tasks.base import Task
from jobs.pipelines.clusters import has_gpu
from jobs.pipelines.evaluations import picked
from jobs.pipelines.objectives import validation_of
from jobs.pipelines.options import CodeOptions
from objectives.base import BuiltCandidate, DataSource, Measurable, values_by_name
from searchspaces.base import Architecture, SearchSpace
from searchspaces.elastic.positions import fitted_weights


class SingleSetup(Protocol):
    """The objects of a run with one supernet."""

    @property
    def space(self) -> SearchSpace: ...

    @property
    def source(self) -> DataSource: ...

    @property
    def task(self) -> Task: ...

    @property
    def calibration(self) -> Calibration: ...

    @property
    def teachers(self) -> tuple[Teacher, ...]: ...


@dataclass(frozen=True)
class SingleSupernet:
    """A run with one supernet, whose networks can be trained alone.

    Attributes:
        recipe: Recipe by which the supernet was trained.
        build: (recipe, whether code in files is trusted, image size or None for the run's own) ->
            its space and data, with the teachers of that recipe.
    """

    recipe: TrainConfig
    build: Callable[[TrainConfig, bool, int | None], SingleSetup]


@dataclass(frozen=True, kw_only=True)
class RetrainOptions(CodeOptions):
    """Training of the network; by default as the run's supernet was trained."""

    train: TrainConfig
    workers: int = 2
    """Data-parallel training workers; the batch is divided among them.
    With 2 or more they are Ray Train's: take one for each GPU.
    """
    seed: int = 0
    """Seeds all randomness: the same seed repeats the training, another one shows its spread."""
    weights: Literal["fresh", "supernet"] | Path = "fresh"
    """Weights to start from: fresh, supernet, or the folder of an earlier retraining."""
    image_size: int | None = None
    """Side in pixels to train at, where the space's networks can change theirs (vit_resnas).
    Positions are interpolated; None for the run's own.
    """

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"--workers must be at least 1, got {self.workers}")
        if self.image_size is not None and self.image_size < 1:
            raise ValueError(
                f"--image-size must be at least 1, got {self.image_size}; leave it out for the "
                "run's own"
            )


@dataclass(frozen=True)
class Retraining:
    """Checked parts of one retraining: the network, its data and task, and the weights it starts
    from.

    Attributes:
        architecture: The network.
        space: At the resolution of the training.
        source: The data, too.
        task: Task that it learns.
        calibration: Recomputes batch-norm statistics, for the supernet's weights.
        teachers: Networks from outside.
        initial: State dict that it starts from; None for fresh weights.
        values: Values of this network in the run, by name.
        output: Folder that gets everything.
    """

    architecture: Architecture
    space: SearchSpace
    source: DataSource
    task: Task
    calibration: Calibration
    teachers: tuple[Teacher, ...]
    initial: dict[str, Tensor] | None
    values: dict[str, Any]  # JSON
    output: Path

    def validation(self, split: str) -> Measurable:
        """The objective by which the network is measured on a split."""
        return validation_of(self.task, self.space, self.source, self.calibration, split=split)


def alone(recipe: TrainConfig) -> TrainConfig:
    """Puts back to the defaults everything in a supernet's recipe that concerns several subnets a
    step and means nothing to one network.
    """
    defaults = TrainConfig()
    return replace(
        recipe,
        sampler=defaults.sampler,
        num_random=defaults.num_random,
        divergence=defaults.divergence,
        conflict_every_steps=0,
    )


def prepare(
    folder: RunFolder,
    single: SingleSupernet,
    options: RetrainOptions,
    pick: str,
    output: Path | None,
) -> Retraining:
    """Finds the network and what it starts from; goes on with a training of the same network and
    recipe, and refuses to mix two.

    Raises:
        ValueError: There is no such network, or the folder holds another training.
        FileNotFoundError: The weights to start from are not there.
    """
    values = folder.job()["values"]
    row = picked(folder, pick or "knee")
    setup = single.build(options.train, options.trust_code, None)
    space, trained_on = setup.space, setup
    architecture = picking.network(space, row)
    started = _started(folder, space, row, options.weights)
    if options.image_size:
        trained_on = single.build(options.train, options.trust_code, options.image_size)
        space = _resized(space, options.image_size)
    initial = None if started is None else fitted_weights(started, _network(space, architecture))
    place = output or folder.inside(
        "retrained", row["key"] + (f"-{options.image_size}px" if options.image_size else "")
    )
    _check_recipe(place, options, architecture)
    return Retraining(
        architecture,
        space,
        trained_on.source,
        trained_on.task,
        setup.calibration,
        setup.teachers,
        initial,
        {v["name"]: row[v["name"]] for v in values},
        place,
    )


def retrain(
    work: Retraining, options: RetrainOptions
) -> tuple[dict[str, dict[str, float]], list[Path]]:
    """Trains, on the cluster that is connected, and exports; the values that the network was
    validated by, by split and name, and the files.

    Raises:
        RuntimeError: The training failed again and again.
    """
    space, architecture = work.space, work.architecture
    begin(work, options)
    train_on_ray(
        space,
        work.task,
        options.train,
        seed=options.seed,
        folder=work.output / "training",
        num_workers=options.workers,
        use_gpu=has_gpu(),
        architecture=architecture,
        initial=work.initial,
        teachers=work.teachers,
    )
    weights, _ = checkpoints.load_weights(work.output / "training")
    network = _network(space, architecture)
    network.load_state_dict(fitted_weights(weights, network))
    values = {split: _validated(work, network, split) for split in ("val", "test")}
    about = {"values": values, "inherited": work.values, "recipe": _recipe(options)}
    shape = work.source.image_shape
    return values, export(
        network, architecture, space, shape, "safetensors", work.output, extra=about
    )


def _network(space: SearchSpace, architecture: Architecture) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return space.build_subnet(None, architecture)


def _started(
    folder: RunFolder, space: SearchSpace, row: dict[str, Any], weights: str | Path
) -> dict[str, Tensor] | None:
    architecture = picking.network(space, row)
    if weights == "fresh":
        return None
    if weights == "supernet":
        found, digest = checkpoints.load_weights(folder.supernet)
        check_weights(row, digest, folder.path)
        with torch.random.fork_rng(devices=[]):
            supernet = space.build_supernet()
        supernet.load_state_dict(found)
        return space.build_subnet(supernet, architecture).state_dict()
    file, about = Path(weights) / "weights.safetensors", Path(weights) / "architecture.json"
    if not file.is_file() or not about.is_file():
        raise FileNotFoundError(
            f"--weights must be fresh, supernet or the folder of a finished retraining; {weights} "
            "has no weights.safetensors"
        )
    key = read_object(about, Exported)["key"]
    if key != architecture.key:
        raise ValueError(
            f"{weights} holds network {key}, not {architecture.key}: pick that one with --pick "
            f"{key}"
        )
    return load_file(file)


def _resized(space: SearchSpace, image_size: int) -> SearchSpace:
    if not any(field.name == "image_size" for field in dataclasses.fields(cast(Any, space))):
        raise ValueError(
            f"--image-size: networks of {space.name!r} have the resolution that their genes say; "
            "pick a network of another one"
        )
    return cast(SearchSpace, replace(cast(Any, space), image_size=image_size))


def _recipe(options: RetrainOptions) -> dict[str, Any]:
    """The options as JSON, but for what is said anew on each command line."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(options), default=str))
    del found["trust_code"]
    return found


def _check_recipe(output: Path, options: RetrainOptions, architecture: Architecture) -> None:
    file = output / "recipe.json"
    found = read_object(file, Recipe) if file.is_file() else None
    if found is not None and found != {"key": architecture.key, "recipe": _recipe(options)}:
        raise ValueError(
            f"{output} holds a training of another network or recipe: name another folder with "
            "--output"
        )
    place = next(folder for folder in (output, *output.parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise PermissionError(f"{output} cannot be written: name another folder with --output")


def begin(work: Retraining, options: RetrainOptions) -> None:
    """Makes the folder this training's: everything has been checked, and another recipe is refused
    from now on.
    """
    work.output.mkdir(parents=True, exist_ok=True)
    write_json(
        work.output / "recipe.json", {"key": work.architecture.key, "recipe": _recipe(options)}
    )


def _validated(work: Retraining, network: nn.Module, split: str) -> dict[str, float]:
    objective = work.validation(split)
    objective.open(torch.device("cpu"))
    return values_by_name(objective, BuiltCandidate(work.space, work.architecture, network))
