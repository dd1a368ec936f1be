"""Ray clusters as jobs and commands use them: joined with a word to the user, asked for GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import ray

from evoray.distributed.cluster.connection import cluster
from jobs.terminal.console import Terminal


@contextmanager
def connected(address: str, console: Terminal) -> Iterator[None]:
    """Connects to the cluster for the time of the block, and says to which one."""
    with cluster(address) as told:
        if told:
            console.print(told)
        yield


def has_gpu(wanted: bool | None = None) -> bool:
    """Tells whether GPUs are taken: as the option says, else if the cluster has one."""
    return ray.cluster_resources().get("GPU", 0) > 0 if wanted is None else wanted
