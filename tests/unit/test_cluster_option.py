"""--cluster.address of the commands that go on with a run: another cluster than the run was started
on.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import jobs
from evoray.records.run_folder import RunFolder
from jobs.cli import main
from jobs.commands import resume, retrain, trust
from jobs.pipelines.cosearch.config import CoSearch
from jobs.pipelines.gan.config import GanSearch
from jobs.pipelines.options import ClusterOptions
from jobs.pipelines.supernet.config import SupernetSearch
from jobs.pipelines.supernet.pipeline import PIPELINE
from jobs.terminal.cluster_option import AS_STARTED, ClusterOption, keep_address, on_cluster

OLD, NEW = "10.0.0.1:6379", "10.0.0.2:6379"


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Begun on another cluster, nothing done."""
    config = SupernetSearch(cluster=ClusterOptions(address=OLD))
    job = PIPELINE.job_of("quickstart", "", config, PIPELINE.build_setup(config))
    return RunFolder.create(tmp_path / "run", job)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that the commands look at; each is answered with a refusal."""
    found: list[str] = []

    def refuse(address: str) -> None:
        found.append(address)
        raise ConnectionError("no Ray cluster answers")

    for command in (resume, retrain, trust):
        monkeypatch.setattr(command, "check_cluster", refuse)
    monkeypatch.setattr(retrain, "prepare", lambda *_: SimpleNamespace())
    monkeypatch.setattr(jobs.pipeline("quickstart"), "probing", lambda *_: SimpleNamespace())
    return found


@pytest.mark.parametrize("command", ["resume", "retrain", "trust"])
def test_a_run_is_asked_for_on_the_cluster_that_is_named_or_else_on_its_own(
    command: str, run: RunFolder, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.job()
    for words in ([], ["--cluster.address", NEW], ["--cluster.address=local"]):
        with pytest.raises(SystemExit) as stopped:
            main([command, str(run.path), *words])
        assert stopped.value.code == 2
        assert capsys.readouterr().err == "evoray: no Ray cluster answers\n"
    assert asked == [OLD, NEW, "local"]
    assert run.job() == before, "a cluster that is not there was written down"


@pytest.mark.parametrize("command", ["resume", "retrain", "trust"])
def test_what_is_no_address_is_one_line(
    command: str, run: RunFolder, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, str(run.path), "--cluster.address", "http://h:8265"])
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "takes HOST:PORT of a Ray cluster" in line
    assert asked == []


@pytest.mark.parametrize("config", [SupernetSearch(), GanSearch(), CoSearch()])
def test_every_kind_of_run_takes_it(config: Any) -> None:
    assert on_cluster(config, ClusterOption(address=NEW)).cluster.address == NEW
    assert on_cluster(config, AS_STARTED) is config


def test_resume_finds_it_the_next_time(run: RunFolder) -> None:
    keep_address(run, AS_STARTED)
    assert PIPELINE.config_of(run).cluster.address == OLD
    keep_address(run, ClusterOption(address=NEW))
    assert PIPELINE.config_of(run).cluster.address == NEW
