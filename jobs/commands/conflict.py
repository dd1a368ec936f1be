"""Trains a supernet with each of several subnet samplers and compares how far their gradients pull
the same way.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from plotly.io import write_html
from rich.table import Table

import searchspaces
from evoray.data.parts.images import with_classes
from evoray.report.training_figures import conflict_figure
from evoray.training import samplers, tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import total_steps, train_supernet
from jobs.pipelines.datasets import load_source
from jobs.pipelines.options import DataOptions
from jobs.pipelines.spaces import fitted
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import parse

_MEASUREMENTS = 40  # over a training
_QUARTERS = ("first quarter", "second", "third", "last")


@dataclass(frozen=True, kw_only=True)
class _Options:
    """Prints mean cosine similarities of gradients by quarters of the training: within a step, and
    between a step and the next.
    """

    space: tyro.conf.Positional[str]
    """Search space: NAME or NAME:PRESET of `evoray spaces`, or one of your own.
    That is named as package.module:object or path/to/file.py:object.
    """
    samplers: tuple[str, ...] = ("uniform", "complexity_aware")
    """Samplers to compare, each in a training of its own: names as in --train.sampler."""
    data: DataOptions = field(default_factory=DataOptions)
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(epochs=5.0, checkpoint_every_seconds=1e9)
    )
    seed: int = 0
    """Seeds all randomness: the same seed repeats the comparison, another one shows its spread."""
    output: Path | None = None
    """HTML file to draw the curves into; None prints the table alone."""


def main(arguments: Sequence[str]) -> None:
    with user_input():
        options = parse(_Options, None, arguments, prog="evoray conflict")
        source = with_classes(load_source(options.data, image_size=options.data.image_size))
        space = fitted(searchspaces.load(options.space), source)
        task = tasks.of(source, options.train)
        every = max(1, total_steps(task, options.train) // _MEASUREMENTS)
        config = replace(
            options.train,
            log_every_steps=1,
            conflict_every_steps=options.train.conflict_every_steps or every,
        )
        for name in options.samplers:
            samplers.load(name, space, seed=options.seed, num_random=config.num_random)
        if options.output is not None and not options.output.resolve().parent.is_dir():
            raise FileNotFoundError(
                f"{options.output} cannot be written: its folder does not exist"
            )
    metrics_logs: dict[str, list[dict[str, Any]]] = {}
    console = Terminal()
    for name in options.samplers:
        with tempfile.TemporaryDirectory() as folder, console.status(f"training with {name}"):
            train_supernet(
                space, task, replace(config, sampler=name), seed=options.seed, folder=Path(folder)
            )
            metrics_logs[name] = [
                json.loads(line)
                for line in (Path(folder) / "metrics.jsonl")
                .read_text(encoding="utf-8")
                .splitlines()
            ]
    console.print(_table(metrics_logs))
    if options.output is not None:
        write_html(conflict_figure(metrics_logs), options.output, include_plotlyjs=True)
        console.print(f"curves: {options.output}")


def _table(metrics_logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    table = Table("sampler", "steps", *_QUARTERS, title="cosine similarity of gradients")
    for name, lines in metrics_logs.items():
        noted = [line["conflict"] for line in lines if "conflict" in line]
        for kind in ("within", "between"):
            parts = np.array_split(np.array([c.get(kind, np.nan) for c in noted]), len(_QUARTERS))
            table.add_row(
                name,
                kind,
                *(f"{np.nanmean(part):+.3f}" if np.isfinite(part).any() else "" for part in parts),
            )
    return table
