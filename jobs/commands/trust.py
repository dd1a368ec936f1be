"""Trains some of a run's networks alone, with the supernet's budget, and says how well inherited accuracy ranked them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import ray
import torch
import tyro
from rich.console import Console

from evoray.bench import Weights
from evoray.distributed.cluster import cluster
from evoray.distributed.tasks import run_tasks
from evoray.ledger import read_ledger
from evoray.report.page import write_report
from evoray.run_folder import RunFolder
from evoray.trust import Probe, choose_probes, probe, summary
from jobs.supernet import pipeline
from jobs.supernet.composition import compose
from jobs.supernet.config import SupernetSearch
from jobs.terminal.errors import user_input
from jobs.terminal.progress import phase
from objectives.accuracy import Accuracy
from searchspaces.base import architectures


def main(arguments: Sequence[str]) -> None:
    tyro.cli(trust, args=arguments, prog="evoray trust")


def trust(run: Annotated[Path, tyro.conf.Positional], /, probes: int = 8) -> None:
    """Prints Kendall's tau and Spearman's rho between inherited and stand-alone accuracy; the run's report shows them too.

    Args:
        run: The run folder, searched.
        probes: Networks to train alone, spread over the inherited accuracy.
    """
    console = Console()
    with user_input():
        folder = RunFolder.open(run)
        config = pipeline.config_of(folder)
        table = read_ledger(folder.ledger)
        if table is None:
            raise ValueError(f"run {run} has no evaluations to probe: finish it with `evoray resume {run}`")
        chosen = choose_probes(table, probes)
        compose(config)
        weights, _ = pipeline.supernet_weights(folder)
    start = time.monotonic()
    found: list[Probe] = []
    with cluster(config.cluster.address), phase(console, "probes", probes) as bar:
        gpus = 1.0 if ray.cluster_resources().get("GPU", 0) > 0 else 0.0
        for result in run_tasks(measure, [(config, choices, gpus) for choices in chosen], shared=weights, num_gpus=gpus):
            found.append(result)
            bar.update(len(found), f"{result.key}: inherited {result.inherited:.1f}, alone {result.stand_alone:.1f}")
    found.sort(key=lambda p: p.key)
    outcome = summary(found, time.monotonic() - start)
    folder.write_trust(outcome)
    write_report([folder], folder.report)
    for side, name in (("recalibrated", "with batch-norm recalibration"), ("without", "without")):
        tau, rho = outcome["kendall"][side], outcome["spearman"][side]
        console.print(f"{name:<30} Kendall tau {tau:+.3f}   Spearman rho {rho:+.3f}", highlight=False)
    gaps = [p.inherited - p.stand_alone for p in found]
    console.print(
        f"inherited minus stand-alone accuracy: {np.mean(gaps):+.2f} points on average over {len(found)} networks", highlight=False
    )


def measure(weights: Weights, config: SupernetSearch, choices: tuple[int, ...], gpus: float) -> Probe:
    """One probe, on a worker."""
    torch.set_num_threads(1)
    composition = compose(config, gpus=gpus)
    source: Any = composition.source
    architecture = architectures(composition.space, np.array([choices], dtype=np.int16))[0]
    limit = config.measure.validation_limit
    return probe(
        composition.space,
        architecture,
        source,
        config.train,
        weights,
        Accuracy(source, composition.calibration, limit=limit),
        Accuracy(source, None, limit=limit),
        seed=config.seed,
        device="cuda" if gpus else "cpu",
    )
