"""Files replaced whole or not at all, and never through a link that somebody has prepared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from evoray.files.atomic import remove_left_overs, replace_text, replacing
from evoray.files.storage import LocalStorage
from evoray.records.run_folder import RunFolder, write_json
from evoray.report.page import write_report
from evoray.training import checkpoints
from evoray.training.metrics_log import Length, MetricsLog
from tests.runs import make_run

ONE = Length(steps=1, steps_per_epoch=1, batch_size=1)


class Crash(BaseException):
    """The process is gone."""


def _metrics_log(folder: Path) -> None:
    (folder / "metrics.jsonl").unlink(missing_ok=True)
    MetricsLog(folder, _Intervals(), ONE).add(0, [("largest", 1.0)], 0.1, 0, flush=True)


class _Intervals:
    log_every_steps = 1
    checkpoint_every_seconds = 1.0


WRITERS: dict[str, Callable[[Path], object]] = {
    "metrics.jsonl": _metrics_log,
    "a.json": lambda folder: write_json(folder / "a.json", {"a": 1}),
    "part-0.parquet": lambda folder: LocalStorage(folder).write(
        "part-0.parquet", pa.py_buffer(b"x")
    ),
    "front.parquet": lambda folder: RunFolder(folder).write_front(pa.table({"a": [1]})),
    "step-00000001": lambda folder: checkpoints.save(
        folder, {"w": torch.zeros(1)}, {}, {"step": 1}, keep=2
    ),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_in_the_place_of_a_file_is_replaced_and_what_it_points_to_stays(
    tmp_path: Path, name: str
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "run"
    folder.mkdir()
    victim.write_text("precious", encoding="utf-8")
    (folder / name).symlink_to(victim)
    (folder / f".{name}.tmp").symlink_to(victim)  # the name that temporary files once had
    WRITERS[name](folder)
    assert victim.read_text(encoding="utf-8") == "precious"
    assert not (folder / name).is_symlink()


def test_a_training_journal_is_never_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("", encoding="utf-8")
    (tmp_path / "metrics.jsonl").symlink_to(tmp_path / "victim")
    metrics_log = MetricsLog(tmp_path, _Intervals(), ONE)
    with pytest.raises(OSError, match="symbolic links"):
        metrics_log.add(0, [("largest", 1.0)], 0.1, 0, flush=True)
    assert (tmp_path / "victim").read_text(encoding="utf-8") == ""


def test_a_lock_is_never_opened_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious", encoding="utf-8")
    (tmp_path / ".lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        LocalStorage(tmp_path).lock()
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "precious"


def test_a_report_replaces_a_link(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run")
    (tmp_path / "victim").write_text("precious", encoding="utf-8")
    folder.report.symlink_to(tmp_path / "victim")
    write_report([folder], folder.report)
    assert (tmp_path / "victim").read_text(encoding="utf-8") == "precious"
    assert not list(folder.path.glob(".report*"))


def test_what_fails_within_the_block_changes_nothing(tmp_path: Path) -> None:
    replace_text(tmp_path / "a", "before")

    def crash() -> None:
        with replacing(tmp_path / "a") as stream:
            stream.write(b"half")
            raise Crash

    with pytest.raises(Crash):
        crash()
    assert [(f.name, f.read_text(encoding="utf-8")) for f in tmp_path.iterdir()] == [
        ("a", "before")
    ]


def test_left_overs_of_crashes_go_and_what_is_being_written_stays(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    for name in (
        ".job.json.tmp",
        ".front.parquet.0123.tmp",
        "shards/.generation-000001.json.45.tmp",
    ):
        (tmp_path / name).write_text("{", encoding="utf-8")
    (tmp_path / "notes.tmp").write_text("mine", encoding="utf-8")
    with replacing(tmp_path / "a.json") as stream:
        stream.write(json.dumps({"a": 1}).encode())
        remove_left_overs(tmp_path)
    assert sorted(str(f.relative_to(tmp_path)) for f in tmp_path.rglob("*") if f.is_file()) == [
        "a.json",
        "notes.tmp",
    ]


def test_who_goes_on_with_a_run_removes_left_overs(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", {"seed": 1})
    (folder.path / ".front.parquet.0123.tmp").write_text("", encoding="utf-8")
    with folder.writing():
        assert sorted(f.name for f in folder.path.iterdir()) == [".lock", "job.json"]
