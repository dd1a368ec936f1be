"""Run folders that cannot be written, and two that want the same one: a clear error, nothing lost,
nothing changed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.parts.processes import eventually
from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.records.table import from_table
from jobs.pipelines.supernet.build import build_setup
from jobs.pipelines.supernet.pipeline import PIPELINE
from jobs.quickstart import PRESETS
from tests import drivers

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
SLOW = {"evaluations": 200, "seconds": 0.004}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte; it must be allowed to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"this user may not mount a file system: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file but locks."""
    return {
        str(f.relative_to(folder)): f.read_bytes()
        for f in folder.rglob("*")
        if f.is_file() and f.name != ".lock"
    }


def facts(folder: Path) -> dict[str, tuple[object, ...]]:
    table = read_ledger(folder / "ledger")
    assert table is not None
    return {
        r.key: (r.choices, dict(r.values), r.shard, r.generation, r.parents, r.operator)
        for r in from_table(table)
    }


def evoray(*words: str) -> tuple[int, str]:
    """Exit code and standard error of the command line."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")])}
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def quickstart_folder(path: Path) -> RunFolder:
    """A run that was stopped as soon as it had begun."""
    preset, make = next(iter(PRESETS.items()))
    return RunFolder.create(
        path, PIPELINE.job_of("quickstart", preset, make(), build_setup(make()))
    )


def uninterrupted(folder: Path) -> dict[str, tuple[object, ...]]:
    drivers.search(folder, evaluations=200)
    return facts(folder)


def test_a_full_disk_stops_the_search_and_with_room_it_goes_on(
    tmp_path: Path, small_disk: Path
) -> None:
    run, complaint = small_disk / "run", tmp_path / "complaint.txt"
    filler = small_disk / "filler"
    filler.write_bytes(bytes(400_000))
    process = drivers.start(run, complaint=complaint, **SLOW)
    process.join(60)
    assert process.exitcode == 1
    assert "No space left on device" in complaint.read_text(encoding="utf-8")
    assert "what was written before is safe: make room there" in complaint.read_text(
        encoding="utf-8"
    )
    before = facts(run)
    assert before
    assert not list(run.rglob(".*.tmp")), "half-written files take up room"
    filler.unlink()
    process = drivers.start(run, **SLOW)
    process.join(60)
    assert process.exitcode == 0
    assert before.items() <= facts(run).items()
    assert facts(run) == uninterrupted(tmp_path / "whole")


def test_the_kernel_refusing_to_write_stops_the_search_and_nothing_is_lost(tmp_path: Path) -> None:
    run, complaint = tmp_path / "run", tmp_path / "complaint.txt"
    drivers.start(
        tmp_path / "warm-up", evaluations=1
    ).join()  # what all drivers are forked from imports everything once
    process = drivers.start(run, complaint=complaint, full_after=3, **SLOW)
    process.join(60)
    assert process.exitcode == 1
    before = facts(run)
    process = drivers.start(run, **SLOW)
    process.join(60)
    assert process.exitcode == 0
    assert before.items() <= facts(run).items()
    assert facts(run) == uninterrupted(tmp_path / "whole")


def test_a_read_only_folder_is_refused_by_resume_and_can_be_read(
    tmp_path: Path, small_disk: Path
) -> None:
    folder = quickstart_folder(small_disk / "run")
    before = contents(folder.path)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    code, said = evoray("resume", str(folder.path))
    assert code == 2, said
    assert "Read-only file system" in said
    assert "cannot be written: make it writable, then resume the run" in said
    assert len(said.strip().splitlines()) == 1
    assert contents(folder.path) == before
    assert read_ledger(folder.ledger) is None


def test_a_search_in_a_read_only_folder_says_what_to_do(tmp_path: Path, small_disk: Path) -> None:
    drivers.search(small_disk / "run", evaluations=24)
    before, complaint = contents(small_disk / "run"), tmp_path / "complaint.txt"
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    process = drivers.start(small_disk / "run", complaint=complaint, evaluations=48)
    process.join(60)
    assert process.exitcode == 1
    assert (
        "cannot be opened for writing; nothing was changed: make room there or make it writable"
        in complaint.read_text(encoding="utf-8")
    )
    assert contents(small_disk / "run") == before


def test_a_second_resume_is_refused_with_exit_code_2_and_changes_nothing(tmp_path: Path) -> None:
    folder = quickstart_folder(tmp_path / "run")
    before = contents(folder.path)
    with folder.writing():
        code, said = evoray("resume", str(folder.path))
    assert code == 2, said
    assert f"another process is writing to {folder.path}: wait until it ends" in said
    assert contents(folder.path) == before


def test_a_second_search_in_the_same_folder_is_refused_and_the_first_ends_as_if_alone(
    tmp_path: Path,
) -> None:
    run, complaint = tmp_path / "run", tmp_path / "complaint.txt"
    first = drivers.start(run, **SLOW)
    assert eventually(lambda: len(list(run.glob("ledger/part-*.parquet"))) >= 2)
    second = drivers.start(run, complaint=complaint, **SLOW)
    second.join(60)
    assert first.is_alive(), "the first had ended before the second was refused"
    assert second.exitcode == 1
    assert "another process is writing to" in complaint.read_text(encoding="utf-8")
    first.join(60)
    assert first.exitcode == 0
    assert facts(run) == uninterrupted(tmp_path / "whole")
