"""Runs as commands open them: the folder, the pipeline of its job, and its configuration with what
the command line changes of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jobs
from evoray.records.run_folder import RunFolder
from jobs.pipelines.base import Pipeline
from jobs.pipelines.datasets import located
from jobs.pipelines.teachers import trusting
from jobs.terminal.cluster_option import AS_STARTED, ClusterOption, on_cluster


@dataclass(frozen=True)
class OpenedRun:
    """A run and how it is carried out.

    Attributes:
        folder: Run folder.
        pipeline: Pipeline of its job.
        config: Configuration that it was started with, changed by the command line.
    """

    folder: RunFolder
    pipeline: Pipeline[Any, Any]  # Any: what the job's configuration is
    config: Any

    def with_data(self, roots: Mapping[str, Path]) -> OpenedRun:
        """The same with its data where it is now: `roots` are folders by option.

        Raises:
            FileNotFoundError: The data is not there.
            ValueError: It is not what the run was started with.
        """
        return replace(self, config=located(self.folder, self.config, roots))


def opened(
    run: Path,
    own: Sequence[str] = (),
    *,
    trust_code: bool = False,
    cluster: ClusterOption = AS_STARTED,
) -> OpenedRun:
    """Opens a run.

    Args:
        run: Run folder.
        own: Import paths of its own objects, named again.
        trust_code: Loads files that can run code.
        cluster: Cluster on which the run goes on.

    Raises:
        FileNotFoundError: `run` is no run folder.
        ValueError: It is damaged, or its own objects are not followed.
    """
    folder = RunFolder.open(run)
    pipeline = jobs.pipeline(folder.job()["job"])
    config = trusting(pipeline.config_of(folder, own), trust_code)
    return OpenedRun(folder, pipeline, on_cluster(config, cluster))
