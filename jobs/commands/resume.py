"""Goes on with a run that was stopped, or writes the report of a finished one anew."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import tyro

from evoray.distributed.cluster.connection import check_cluster
from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.results import picking
from jobs.pipelines import datasets
from jobs.pipelines.opened import opened
from jobs.terminal.cluster_option import AS_STARTED, ClusterOption, keep_address
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import AS_RECORDED, Roots, call_on_run
from jobs.terminal.stopping import advising, resuming


def main(arguments: Sequence[str]) -> None:
    call_on_run(resume, arguments, prog="evoray resume")


def resume(
    run: Annotated[Path, tyro.conf.Positional],
    /,
    own: tuple[str, ...] = (),
    trust_code: bool = False,
    roots: Roots = AS_RECORDED,
    cluster: ClusterOption = AS_STARTED,
) -> None:
    """Repeats only what was running when the run was stopped.

    Where its data has moved, --data.root DIR says where it is now; of a job with several data sets
    each has its own, such as --first.data.root DIR.

    Args:
        run: Run folder.
        own: Import paths of the run's own space and objectives, named again.
            Needed where they are elsewhere than at the start, or have changed since.
        trust_code: Loads teachers from .pt2 files, which can run any code: only those you trust.
            Give it again for a run that was started with it; the run folder does not keep it.
        roots: Folders of data that has moved, by option.
        cluster: Cluster on which the run goes on; the run folder keeps that.
    """
    with ExitStack() as stack:
        with user_input():
            found = opened(run, own, trust_code=trust_code, cluster=cluster)
            found = found.with_data(roots)
            folder = found.folder
            datasets.check_readable(found.pipeline.build_setup(found.config))
            for stage in folder.stages():
                _check(stage)
            check_cluster(found.config.cluster.address)
            stack.enter_context(folder.writing())
            datasets.keep_roots(folder, roots)
            keep_address(folder, cluster)
        stack.enter_context(advising(resuming(folder.path)))
        found.pipeline.carry_out(folder, found.config, Terminal())


def _check(stage: RunFolder) -> None:
    """Names what is damaged before hours are spent.

    Raises:
        ValueError: The records are of another run than job.json.
    """
    job, table = stage.job(), read_ledger(stage.ledger)
    if table is not None:
        picking.check_of_one_run(table, job)
