"""The option --cluster.address of commands that go on with a run: another Ray cluster than the run
was started on.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeVar

from evoray.distributed.cluster.address import check_address
from evoray.records.run_folder import RunFolder, write_json

C = TypeVar("C", bound=Any)  # Any: the configuration of any job


@dataclass(frozen=True, kw_only=True)
class ClusterOption:
    """Ray cluster to join."""

    address: str | None = None
    """Ray cluster to join: HOST:PORT, local for a new one of its own, or auto for this machine's.
    The one that auto joins was started with `ray start`.
    None: the cluster that the run folder names.
    """

    def __post_init__(self) -> None:
        if self.address is not None:
            check_address(self.address, "cluster.address")


AS_STARTED = ClusterOption()


def on_cluster(config: C, option: ClusterOption) -> C:
    """The configuration of a run with the cluster that was named."""
    if option.address is None:
        return config
    cluster = dataclasses.replace(config.cluster, address=option.address)
    return dataclasses.replace(config, cluster=cluster)


def keep_address(folder: RunFolder, option: ClusterOption) -> None:
    """Writes into job.json which cluster was named, so that a plain `evoray resume` finds it."""
    if option.address is not None:
        job = folder.job()
        job["config"].setdefault("cluster", {})["address"] = option.address
        write_json(folder.path / "job.json", job)
