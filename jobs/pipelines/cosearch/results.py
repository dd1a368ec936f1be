"""A design of a finished co-search to take away: each task's network with its supernet's weights,
and the chip that it runs on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from evoray.evaluation.worker import Weights, supernet_with
from evoray.records.run_folder import RunFolder
from evoray.records.weights_digest import check_weights
from evoray.results import picking
from evoray.results.export import ExportedNetwork
from evoray.training import checkpoints
from jobs.pipelines.cosearch.build import SearchSetup, WorkloadTask, build_setup
from jobs.pipelines.cosearch.config import CoSearch
from jobs.pipelines.cosearch.design import described
from jobs.pipelines.evaluations import picked
from jobs.pipelines.teachers import untaught
from searchspaces.base import Architecture


def weights_of(folder: RunFolder, task: WorkloadTask) -> tuple[Weights, str]:
    """The task's trained supernet as arrays, and the beginning of its digest.

    Raises:
        FileNotFoundError: The supernet has no checkpoint.
    """
    tensors, digest = checkpoints.load_weights(folder.supernet / task.supernet)
    return {name: tensor.numpy() for name, tensor in tensors.items()}, digest


def digest_of(folder: RunFolder, tasks: Sequence[WorkloadTask]) -> str:
    """Names the weights that a record was measured with: the beginnings of all supernets'
    digests.
    """
    digests = {task.supernet: weights_of(folder, task)[1] for task in tasks}
    return "+".join(digests.values())


def exported_networks(
    folder: RunFolder, config: CoSearch, pick: str
) -> tuple[ExportedNetwork, ...]:
    """The networks of the design that `pick` names, one a task, batch norm recalibrated; "about"
    tells the chip and what runs where.

    Raises:
        ValueError: It names none, or the run kept no weights.
        FileNotFoundError: A supernet has no checkpoint.
    """
    if config.accuracy == "scratch":
        raise ValueError(
            f"run {folder.path} trained each network alone to measure it and kept no weights: "
            "search with --accuracy inherited to export"
        )
    row = picked(folder, pick)
    setup = build_setup(untaught(config))
    return tuple(_taken(folder, setup, row))


def _taken(folder: RunFolder, setup: SearchSetup, row: dict[str, Any]) -> Iterator[ExportedNetwork]:
    study = setup.study
    values = {value["name"]: row[value["name"]] for value in folder.job()["values"]}
    design = described(study, np.array(row["choices"], dtype=np.int16), values)
    check_weights(row, digest_of(folder, setup.tasks), folder.path)
    own = study.space.architectures(picking.network(study.space, row))
    for task in setup.tasks:
        about = {
            "values": values,
            "source": task.source.name,
            "chip": design["chip"],
            "layers": [layer for layer in design["layers"] if layer["task"] == task.label],
        }
        network, digest = _network(folder, task, own[task.label])
        told = {**about, "weights_digest": digest}
        yield ExportedNetwork(
            network,
            own[task.label],
            task.space,
            task.source.image_shape,
            told,
            design=row["key"],
            label=task.label,
        )


def _network(
    folder: RunFolder, task: WorkloadTask, architecture: Architecture
) -> tuple[nn.Module, str]:
    """The network and the beginning of its weights' digest."""
    weights, digest = weights_of(folder, task)
    network = task.space.build_subnet(supernet_with(task.space, weights), architecture)
    task.calibration(network, torch.device("cpu"))
    return network, digest
