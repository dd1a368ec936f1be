"""Probes of a supernet search: inherited accuracy, and accuracy after training alone."""

from __future__ import annotations

import numpy as np
import torch

from evoray.evaluation.worker import Weights
from evoray.records.run_folder import RunFolder
from evoray.results.rank_correlation import Probe, Probing, choose_probes, probe
from jobs.pipelines.evaluations import evaluated
from jobs.pipelines.objectives import validation_of
from jobs.pipelines.supernet.build import SearchSetup, build_setup
from jobs.pipelines.supernet.config import SupernetSearch
from objectives.base import values_of
from searchspaces.base import architectures


def accuracy_probing(
    folder: RunFolder, config: SupernetSearch, weights: Weights, digest: str, probes: int
) -> Probing:
    """Prepares the stand-alone training of `probes` networks, spread over the validated value that
    they reached with inherited weights.

    Raises:
        ValueError: The run has no evaluations, or not so many.
    """
    table = evaluated(folder, digest)
    setup = build_setup(config)  # here, for its parts may be in the user's folder
    name = values_of(setup.problem.measured[0])[0].name
    chosen = choose_probes(table, probes, name)
    arguments = [(config, setup, choices) for choices in chosen]
    return Probing(folder, name, setup.problem.unit(name), _measure, weights, arguments)


def _measure(
    weights: Weights,
    config: SupernetSearch,
    setup: SearchSetup,
    choices: tuple[int, ...],
    gpus: float,
) -> Probe:
    torch.set_num_threads(1)
    task, source = setup.task, setup.source
    architecture = architectures(setup.space, np.array([choices], dtype=np.int16))[0]
    limit = config.measure.validation_limit
    return probe(
        setup.space,
        architecture,
        task,
        config.train,
        weights,
        validation_of(task, setup.space, source, setup.calibration, limit=limit),
        validation_of(task, setup.space, source, None, limit=limit),
        seed=config.seed,
        device="cuda" if gpus else "cpu",
        teachers=setup.teachers,
    )
