"""The contract of a pipeline: what a job goes through, from its configuration to its report.

A system brings a class of its own with its data, space, objectives and phases; what all systems
have in common stands here, once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from evoray.records import environment
from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.report.page import write_report
from evoray.report.sections import SystemReport
from evoray.report.tables import front_table
from evoray.results import picking
from evoray.results.export import ExportedNetwork
from evoray.results.rank_correlation import Probing
from jobs.pipelines.clusters import connected, has_gpu
from jobs.pipelines.options import RayOptions
from jobs.pipelines.retraining import SingleSupernet
from jobs.pipelines.teachers import trusting
from jobs.terminal.console import Terminal
from jobs.terminal.limits import check_values
from objectives.base import DataSource
from searchspaces.plugins.own import admitted, recorded, replaced


class JobConfig(Protocol):
    """Fields that every configuration has."""

    @property
    def cluster(self) -> RayOptions: ...

    @property
    def seed(self) -> int: ...


class Setup(Protocol):
    """The objects that a configuration means."""

    @property
    def sources(self) -> tuple[DataSource, ...]:
        """The data of every task."""
        ...


C = TypeVar("C", bound=JobConfig)
S = TypeVar("S", bound=Setup)
C_co = TypeVar("C_co", bound=JobConfig, covariant=True)
S_co = TypeVar("S_co", bound=Setup, covariant=True)


@dataclass(frozen=True)
class Run(Generic[C_co, S_co]):
    """A run that is carried out on a cluster.

    Attributes:
        folder: Run folder, which keeps everything.
        config: Configuration that the run was started with.
        setup: Objects that the configuration means.
        use_gpu: True if training and measuring take GPUs.
        console: Terminal that shows progress.
    """

    folder: RunFolder
    config: C_co
    setup: S_co
    use_gpu: bool
    console: Terminal


class Pipeline(Protocol[C, S]):
    """Phases that the jobs of one system go through. Methods without a body are the system's own.

    Attributes:
        config_type: Type of the configuration, a frozen dataclass.
        report: Sections of its own in the report of a run.
    """

    config_type: type[C]
    report: SystemReport = SystemReport()

    @abstractmethod
    def build_setup(self, config: C, *, gpus: float = 0.0) -> S:
        """Builds the objects that a configuration means; reads only, and every mistake shows here.

        Args:
            config: Configuration of the run.
            gpus: GPUs that a worker of an objective may take.

        Raises:
            ValueError: Something of the configuration does not exist or does not fit.
            FileNotFoundError: Data or weights are not there.
        """
        ...

    @abstractmethod
    def described(self, config: C, setup: S) -> dict[str, Any]:  # Any: JSON
        """Describes the search for job.json: space, genes, values, constraints; or the stages that
        have them.
        """
        ...

    @abstractmethod
    def own_paths(self, config: C) -> list[str]:
        """The import paths of a configuration that lead to objects of the user's own."""
        ...

    @abstractmethod
    def run_phases(self, run: Run[C, S]) -> None:
        """Trains, searches and compares, as far as that is still to be done.

        Raises:
            RuntimeError: Training or search cannot go on; what is done stays.
        """
        ...

    @abstractmethod
    def exported_networks(
        self, folder: RunFolder, config: C, pick: str
    ) -> tuple[ExportedNetwork, ...]:
        """The networks that `pick` names, with the weights that they have in the supernet.

        Raises:
            ValueError: It names none.
        """
        ...

    @abstractmethod
    def probing(self, folder: RunFolder, config: C, probes: int) -> Probing:
        """Networks to train alone, to tell how well inherited values rank them.

        Raises:
            ValueError: The run has not so many.
            FileNotFoundError: The supernet has no checkpoint.
        """
        ...

    def single_supernet(self, folder: RunFolder, config: C) -> SingleSupernet:
        """The run's one supernet, for what trains its networks alone.

        Raises:
            ValueError: The runs of this pipeline have several, or something else.
        """
        raise ValueError(
            f"run {folder.path} of job {folder.job()['job']!r} has no single supernet: this "
            "command is for jobs that train and search one"
        )

    def summarize(self, folder: RunFolder, console: Terminal) -> None:
        """Prints what a finished run has found beside its fronts; nothing, unless a system has
        more to tell.
        """
        return

    def job_of(self, name: str, preset: str, config: C, setup: S) -> dict[str, Any]:
        """The contents of job.json."""
        dumped = TypeAdapter(self.config_type).dump_python(trusting(config, False), mode="json")
        return {
            "job": name,
            "preset": preset,
            "seed": config.seed,
            **self.described(config, setup),
            "own": recorded(self.own_paths(config)),
            "config": dumped,
            **environment.surroundings(),
        }

    def config_of(self, folder: RunFolder, given: Sequence[str] = ()) -> C:
        """The configuration that a run was started with; `given` are import paths that the user
        names again.

        Raises:
            ValueError: job.json does not hold one, or names an object of the user's own that is not
                followed.
        """
        job, adapter = folder.job(), TypeAdapter(self.config_type)
        if "config" not in job:
            raise ValueError(
                f"{folder.path / 'job.json'} holds no configuration: restore it, or start a new run"
            )
        try:
            texts = self.own_paths(adapter.validate_python(job["config"]))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(
                f"the configuration of run {folder.path}, of job {job['job']!r}, has a wrong "
                f"{place or 'value'} ({first['msg']}): restore its job.json, or start a new run"
            ) from None
        known = job.get("own")
        found = adapter.validate_python(
            replaced(job["config"], admitted(texts, known, given, folder.path))
        )
        check_values(found)  # somebody may have edited the file
        return trusting(found, False)

    def carry_out(self, folder: RunFolder, config: C, console: Terminal) -> None:
        """Runs what is still to be done of a run: of a new one everything, of a finished one
        nothing but the report.

        Raises:
            RuntimeError: Training or search cannot go on; what is done stays.
        """
        with connected(config.cluster.address, console):
            use_gpu = has_gpu(config.cluster.train_gpus)
            setup = self.build_setup(config, gpus=1.0 if use_gpu else 0.0)
            self.run_phases(Run(folder, config, setup, use_gpu, console))
        self.finish(folder, console)

    def finish(self, folder: RunFolder, console: Terminal) -> None:
        """Prints the fronts and what else was found, writes the report."""
        stages = folder.stages()
        for stage in stages:
            job, table = stage.job(), read_ledger(stage.ledger)
            if table is not None:
                console.print(front_table(job, picking.front(table, job["values"])))
        self.summarize(folder, console)
        write_report(stages, folder.report, lambda stage: self.report)
        seconds = {
            stage.path.name: sum(stage.phases().values())
            for stage in stages
            if stage.path != folder.path
        }
        console.print(
            "  ".join(f"{name} {s:.0f} s" for name, s in (seconds | folder.phases()).items())
        )
        console.print(f"report: {folder.report}")
