"""Trains some of a run's networks alone, with the supernet's budget, and says how well inherited
values ranked them.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from evoray.distributed.cluster.connection import check_cluster
from evoray.distributed.tasks import run_tasks
from evoray.report.page import write_report
from evoray.results.rank_correlation import Probe, summary
from jobs.pipelines.clusters import connected, has_gpu
from jobs.pipelines.opened import opened
from jobs.terminal.cluster_option import AS_STARTED, ClusterOption
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import AS_RECORDED, Roots, call_on_run
from jobs.terminal.progress import phase


def main(arguments: Sequence[str]) -> None:
    call_on_run(trust, arguments, prog="evoray trust")


def trust(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    probes: int = 8,
    own: tuple[str, ...] = (),
    trust_code: bool = False,
    roots: Roots = AS_RECORDED,
    cluster: ClusterOption = AS_STARTED,
) -> None:
    """Prints Kendall's tau and Spearman's rho between inherited and stand-alone values; the run's
    report shows them too.

    Where the run's data has moved, --data.root DIR says where it is now; of a job with several data
    sets each has its own, such as --first.data.root DIR.

    Args:
        run: Run folder with a finished search.
            A GAN search's generators are probed, a co-search's networks of all tasks together.
        probes: Networks to train alone, spread over the inherited values, 2 or more.
            Each takes a training; fewer than 8 give a vague correlation.
        own: Import paths of the run's own space and objectives, named again.
            Needed where they are elsewhere than at the start, or have changed since.
        trust_code: Loads teachers from .pt2 files, which can run any code: only those you trust.
            Give it again for a run that was started with it; the run folder does not keep it.
        roots: Folders of data that has moved, by option.
        cluster: Cluster on which the probes are trained.
    """
    console = Terminal()
    with user_input():
        if probes < 2:
            raise ValueError(
                f"--probes must be at least 2, for ranks need two networks, got {probes}"
            )
        source = opened(run, own, trust_code=trust_code, cluster=cluster)
        source = source.with_data(roots)
        folder, pipeline, address = source.folder, source.pipeline, source.config.cluster.address
        probing = pipeline.probing(folder, source.config, probes)
        check_cluster(address)
    start = time.monotonic()
    found: list[Probe] = []
    with connected(address, console):
        gpus = 1.0 if has_gpu() else 0.0
        arguments = [(*one, gpus) for one in probing.arguments]
        with phase(console, "probes", probes) as bar:
            for result in run_tasks(
                probing.measure, arguments, shared=probing.shared, num_gpus=gpus
            ):
                found.append(result)
                bar.update(
                    len(found),
                    f"{result.key}: inherited {result.inherited:.1f}, alone "
                    f"{result.stand_alone:.1f}",
                )
    found.sort(key=lambda p: p.key)
    outcome = summary(found, time.monotonic() - start, probing.objective, probing.unit)
    probing.folder.write_trust(outcome)
    write_report(folder.stages(), folder.report, lambda stage: pipeline.report)
    for side, name in (("recalibrated", "with batch-norm recalibration"), ("without", "without")):
        tau, rho = outcome["kendall"][side], outcome["spearman"][side]
        console.print(f"{name:<30} Kendall tau {tau:+.3f}   Spearman rho {rho:+.3f}")
    gap = np.mean([p.inherited - p.stand_alone for p in found])
    what = (
        f"inherited minus stand-alone {probing.objective}: {gap:+.2f}{probing.unit and ' points'} "
        "on average"
    )
    console.print(f"{what} over {len(found)} networks")
