"""Probes of a co-search: the accuracy of all tasks together, inherited, and with each task's
network trained alone.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from evoray.evaluation.worker import Weights
from evoray.records.run_folder import RunFolder
from evoray.results import picking
from evoray.results.rank_correlation import Probe, Probing, choose_probes, probe
from evoray.training import tasks
from jobs.pipelines.cosearch.build import SearchSetup, build_setup
from jobs.pipelines.cosearch.config import CoSearch
from jobs.pipelines.cosearch.results import digest_of, weights_of
from jobs.pipelines.cosearch.study import ACCURACY
from jobs.pipelines.evaluations import evaluated
from jobs.pipelines.objectives import validation_of
from objectives.tasks import WeightedMean
from searchspaces.base import architectures


def accuracy_probing(folder: RunFolder, config: CoSearch, probes: int) -> Probing:
    """Prepares the stand-alone training of `probes` designs that differ in their networks, spread
    over the inherited accuracy.

    Raises:
        ValueError: The run has no evaluations or not so many networks, or trained no supernets.
        FileNotFoundError: A supernet has no checkpoint.
    """
    if config.accuracy == "scratch":
        raise ValueError(
            f"run {folder.path} trained each network alone to measure it: there is no inherited "
            "accuracy to trust or not"
        )
    evaluated(folder)  # before the data is read
    setup = build_setup(config)
    table = evaluated(folder, digest_of(folder, setup.tasks))
    arguments = [
        (config, choices) for choices in choose_probes(_distinct(table, setup), probes, ACCURACY)
    ]
    weights = {task.supernet: weights_of(folder, task)[0] for task in setup.tasks}
    return Probing(folder, ACCURACY, "%", _measure, weights, arguments)


def _distinct(table: pa.Table, setup: SearchSetup) -> pa.Table:
    """The complete records, one for all that differ in the chip alone."""
    done = picking.complete(table)
    networks = setup.study.networks_of(np.array(done["choices"].to_pylist(), dtype=np.int16))
    return done.take(pa.array(np.sort(np.unique(networks, axis=0, return_index=True)[1])))


def _measure(
    weights: dict[str, Weights], config: CoSearch, choices: tuple[int, ...], gpus: float
) -> Probe:
    torch.set_num_threads(1)
    setup = build_setup(config, gpus=gpus)
    space = setup.study.space
    design = architectures(space, np.array([choices], dtype=np.int16))[0]
    own = space.architectures(design)
    found: dict[str, Probe] = {}
    for task in setup.tasks:
        learned = tasks.of(task.source, task.options.train)
        limit, needs = task.options.validation_limit, task.objective.needs
        found[task.label] = probe(
            task.space,
            own[task.label],
            learned,
            task.options.train,
            weights[task.supernet],
            task.objective,
            validation_of(learned, task.space, task.source, None, limit=limit, needs=needs),
            seed=config.seed,
            device="cuda" if gpus else "cpu",
            teachers=task.teachers,
        )
    mean = WeightedMean({task.label: task.options.weight for task in setup.tasks})
    sides = ("inherited", "inherited_without_recalibration", "stand_alone")
    return Probe(
        design.key,
        *(
            mean.combine({label: getattr(one, side) for label, one in found.items()})
            for side in sides
        ),
    )
