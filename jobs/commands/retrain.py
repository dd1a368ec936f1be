"""Trains one network of a run alone, from fresh weights, with Ray Train; tells what it gains over the weights of the supernet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ray
import torch
from rich.console import Console

from evoray import selection
from evoray.distributed.cluster import cluster
from evoray.distributed.training import train_on_ray
from evoray.export import export
from evoray.ledger import read_ledger
from evoray.run_folder import RunFolder
from evoray.training import checkpoints
from evoray.training.config import TrainConfig
from jobs.supernet import pipeline
from jobs.supernet.composition import Composition, compose
from jobs.supernet.config import SupernetSearch
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import parse, take_options
from objectives.accuracy import Accuracy
from objectives.base import BuiltCandidate
from searchspaces.base import Architecture

_ABOUT = "Also: --pick KEY, knee (the default) or best:NAME of the front; --output FOLDER instead of RUN/retrained/KEY."


@dataclass(frozen=True, kw_only=True)
class _Options:
    """How the network is trained; by default as the run's supernet was."""

    train: TrainConfig
    workers: int = 2
    """Ray Train workers (data-parallel)."""
    seed: int = 0
    """Of all randomness."""


def main(arguments: Sequence[str]) -> None:
    console = Console()
    with user_input():
        words, own = take_options(arguments, ("--pick", "--output"))
        run = Path(words[0]) if words and not words[0].startswith("-") else None
        if run is None and "-h" not in words and "--help" not in words:
            raise ValueError("retrain needs a run folder: evoray retrain RUN [--pick KEY]")
        config = pipeline.config_of(RunFolder.open(run)) if run is not None else SupernetSearch()
        options = parse(
            _Options,
            _Options(train=_alone(config.train), seed=config.seed),
            words[run is not None :],
            prog="evoray retrain RUN",
            description=_ABOUT,
        )
        assert run is not None  # --help has ended the program
        folder = RunFolder.open(run)
        table = read_ledger(folder.ledger)
        if table is None:
            raise ValueError(f"run {run} has no evaluations to pick from: finish it with `evoray resume {run}`")
        values = folder.job()["values"]
        row = selection.pick(table, values, own["--pick"] or "knee")
        composition = compose(config)
        output = Path(own["--output"]) if own["--output"] else folder.path / "retrained" / row["key"]
        architecture = Architecture(composition.space.name, tuple(row["choices"]), row["key"])
        _check_recipe(output, options, architecture)
    with cluster(config.cluster.address), console.status(f"training {architecture.key} alone"):
        train_on_ray(
            composition.space,
            composition.source,
            options.train,
            seed=options.seed,
            folder=output / "training",
            num_workers=options.workers,
            use_gpu=ray.cluster_resources().get("GPU", 0) > 0,
            architecture=architecture,
        )
    weights, _ = checkpoints.load_weights(output / "training")
    network = composition.space.build_subnet(None, architecture)
    network.load_state_dict({name: weights[name] for name in network.state_dict()})  # heads that only training has stay behind
    accuracies = {split: _accuracy(composition, architecture, network, split) for split in ("val", "test")}
    about = {"accuracies": accuracies, "inherited": {v["name"]: row[v["name"]] for v in values}, "recipe": asdict(options)}
    files = export(network, architecture, composition.space, composition.source.image_shape, "safetensors", output, extra=about)
    shown = ", ".join(f"{value:.2f} % on {split}" for split, value in accuracies.items())
    inherited = f"; {row['accuracy']:.2f} % with the supernet's weights" if row.get("accuracy") is not None else ""
    console.print(f"{architecture.key} alone: {shown}{inherited}", highlight=False)
    for file in files:
        console.print(str(file), highlight=False, soft_wrap=True)


def _alone(recipe: TrainConfig) -> TrainConfig:
    """What a supernet's recipe has for several subnets a step means nothing to one network."""
    defaults = TrainConfig()
    return replace(recipe, sampler=defaults.sampler, num_random=defaults.num_random, divergence=defaults.divergence, conflict_every_steps=0)


def _check_recipe(output: Path, options: _Options, architecture: Architecture) -> None:
    """Goes on with a training of the same network and recipe; refuses to mix two."""
    wanted = {"key": architecture.key, "recipe": json.loads(json.dumps(asdict(options)))}
    file = output / "recipe.json"
    found: Any = json.loads(file.read_text()) if file.is_file() else None
    if found is not None and found != wanted:
        raise ValueError(f"{output} holds a training of another network or recipe: name another folder with --output")
    output.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(wanted, indent=1))


def _accuracy(composition: Composition, architecture: Architecture, network: torch.nn.Module, split: str) -> float:
    objective = Accuracy(composition.source, composition.calibration, split=split)
    objective.open(torch.device("cpu"))
    return objective.measure(BuiltCandidate(composition.space, architecture, network))
