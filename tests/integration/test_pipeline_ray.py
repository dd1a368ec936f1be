"""A system of its own, as somebody would add one: one class brings a space, objectives and a
section of the report, and the job goes through everything that is shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from evoray.distributed.evaluation.evaluator import RayEvaluator
from evoray.engine.schedule import Schedule
from evoray.engine.shard import searchers_for
from evoray.problem.problem import Problem, describe
from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder, write_json
from evoray.report.markup import SECTIONS
from evoray.report.reading import RunView
from evoray.report.sections import Section, SystemReport
from evoray.results.export import ExportedNetwork
from evoray.results.rank_correlation import Probing
from jobs.pipelines.base import Pipeline, Run
from jobs.pipelines.evaluations import ledger_of, write_front
from jobs.pipelines.objectives import problem_of
from jobs.pipelines.options import RayOptions
from jobs.pipelines.phases import evolve, pool_of
from jobs.terminal.console import Terminal
from objectives.base import DataSource
from tests.synthetic import Macs, Score, TableSpace

pytestmark = pytest.mark.ray


@dataclass(frozen=True, kw_only=True)
class Config:
    """The options of the system."""

    evaluations: int = 24
    seed: int = 3
    cluster: RayOptions = field(default_factory=RayOptions)


@dataclass(frozen=True)
class Setup:
    """Objects that the configuration means."""

    problem: Problem

    @property
    def sources(self) -> tuple[DataSource, ...]:
        return ()


def words(folder: RunFolder, run: RunView) -> Iterator[Section]:
    """A section of the system's own."""
    yield Section("Words read", [SECTIONS.note(f"{len(run.records)} networks read words.")])


class Mine(Pipeline[Config, Setup]):
    """Everything that the system brings."""

    config_type = Config
    report = SystemReport(sections=(words,))

    def build_setup(self, config: Config, *, gpus: float = 0.0) -> Setup:
        space: Any = TableSpace()
        score: Any = Score()
        targets, bounds = ("score", "macs"), ("macs<=1500",)
        return Setup(
            problem_of(space, (score,), (Macs(),), targets=targets, constraints=bounds, offered={})
        )

    def described(self, config: Config, setup: Setup) -> dict[str, Any]:
        return describe(setup.problem)

    def own_paths(self, config: Config) -> list[str]:
        return []

    def run_phases(self, run: Run[Config, Setup]) -> None:
        folder, config, problem = run.folder, run.config, run.setup.problem
        searchers = searchers_for(problem, "nsga2", num_shards=2, seed=config.seed, population=8)
        with (
            closing(RayEvaluator(problem, None, options=pool_of(config.cluster))) as evaluator,
            ledger_of(folder.ledger, problem) as ledger,
        ):
            schedule = Schedule(evaluations=config.evaluations, population=8)
            evolve(run, problem, searchers, evaluator, ledger, schedule, snapshots=folder.shards)
            write_front(folder, ledger)

    def exported_networks(
        self, folder: RunFolder, config: Config, pick: str
    ) -> tuple[ExportedNetwork, ...]:
        raise ValueError("this system exports nothing")

    def probing(self, folder: RunFolder, config: Config, probes: int) -> Probing:
        raise ValueError("this system inherits no values")


def test_one_class_makes_a_system_that_runs_resumes_and_reports(
    local_ray: None, tmp_path: Path
) -> None:
    mine, config = Mine(), Config(cluster=RayOptions(max_attempts=1))
    folder = RunFolder.create(
        tmp_path / "run", mine.job_of("mine", "small", config, mine.build_setup(config))
    )
    assert mine.config_of(folder) == config
    mine.carry_out(folder, config, Terminal(quiet=True))
    before = read_ledger(folder.ledger)
    assert before is not None
    assert len(before) == 24
    assert max(before["macs"].to_pylist()) <= 1500
    assert folder.phases().keys() == {"search"}
    page = folder.report.read_text(encoding="utf-8")
    assert "<h2>Words read</h2>" in page
    assert "24 networks read words." in page
    assert "<h2>Genealogy of the front</h2>" in page
    mine.carry_out(folder, config, Terminal(quiet=True))
    assert read_ledger(folder.ledger) == before, "a finished run was repeated"
    with pytest.raises(ValueError, match="of job 'mine' has no single supernet"):
        mine.single_supernet(folder, config)
    write_json(folder.path / "job.json", {**folder.job(), "config": {"cluster": {"address": 5}}})
    with pytest.raises(ValueError, match=r"of job 'mine', has a wrong cluster\.address"):
        mine.config_of(folder)
