"""The run folder: an absolute local path, made with everything in it or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evoray.records.run_folder import RunFolder, write_json

JOB = {"job": "quickstart", "seed": 3, "space": "mlp", "values": [], "genes": [], "constraints": []}


@pytest.mark.parametrize(
    "job",
    [
        {"seed": np.int64(3)},
        {"limit": float("inf")},
        {"limit": float("nan")},
        {"what": object()},
        {("a", "b"): 1},
    ],
)
def test_a_creation_that_fails_leaves_nothing_behind(tmp_path: Path, job: dict[Any, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        RunFolder.create(tmp_path / "runs" / "deep" / "run", job)
    assert not list(tmp_path.iterdir())
    RunFolder.create(tmp_path / "runs" / "deep" / "run", {"seed": 3})


def test_a_folder_that_was_there_before_stays_when_creation_fails(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(TypeError):
        RunFolder.create(tmp_path / "run", {"what": object()})
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert not list((tmp_path / "run").iterdir())


def test_what_a_killed_creation_has_left_does_not_block_the_next(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".job.json.tmp").write_text("{", encoding="utf-8")
    assert RunFolder.create(tmp_path / "run", JOB).job() == JOB


@pytest.mark.parametrize(
    "uri",
    [
        "s3://bucket/run",
        "gs://bucket/run",
        "file:///tmp/run",
        "hdfs://host:1/run",
        "S3://bucket",
        "memory://x",
        "http://a/b",
    ],
)
def test_a_uri_is_refused_by_name(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for given in (uri, Path(uri)):
        with pytest.raises(ValueError, match="must be a local path, got the URI"):
            RunFolder.create(given, {})
        with pytest.raises(ValueError, match="must be a local path, got the URI"):
            RunFolder.open(given)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["", "run\0"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="a run folder needs a path"):
        RunFolder(path)


def test_a_change_of_the_working_folder_does_not_move_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.create("run", JOB)
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert folder.path == tmp_path / "run"
    assert folder.job() == JOB


def test_an_older_runs_options_are_read_by_todays_names(tmp_path: Path) -> None:
    job = {**JOB, "config": {"train": {"rewire_epochs": 3.0}, "seed": 0}}
    config = RunFolder.create(tmp_path / "run", job).job()["config"]
    assert config == {"train": {"channel_sorting_epochs": 3.0}, "seed": 0}


def test_a_json_file_that_cannot_be_written_keeps_the_old_one(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert '"a": 1' in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"job": ' + '{"a": ' * 100_000])
def test_a_file_nested_without_end_is_damaged(text: str, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="is damaged"):
        RunFolder.open(tmp_path).job()
