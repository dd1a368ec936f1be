"""Every kind of file of a run folder, damaged in every way, under every command that reads it: no
traceback, no value changed in silence.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import jobs
from benchmarks.parts.codesign import stub_study
from evoray.records.ledger import FolderLedger
from evoray.records.records import Record
from evoray.records.rounds import round_ledger
from evoray.records.run_files import written_lines
from evoray.records.run_folder import RunFolder, write_json
from evoray.records.table import to_table
from evoray.report.chip_files import read_chip, read_outcomes
from evoray.report.pictures import listed, picture_place, read_pictures, write_list
from evoray.report.reading import read_run
from evoray.results.picking import front
from evoray.results.rank_correlation import Probe
from evoray.training import checkpoints
from jobs import quickstart
from jobs.cli import main
from jobs.commands import report, trust
from jobs.pipelines import base
from jobs.pipelines.cosearch.design import described
from jobs.pipelines.gan.run_files import read_collapses, write_collapses
from jobs.pipelines.supernet.build import build_setup
from jobs.pipelines.supernet.pipeline import PIPELINE
from objectives.asic.specs import Specs
from searchspaces.base import architectures
from tests.runs import make_run

_OPTIONAL = (
    "phases.json",
    "trust.json",
    "metrics.jsonl",
    "generation-",
    "front.parquet",
    "chip.json",
    "outcome.json",
    "collapses.json",
    "pictures.json",
)
_PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def truncated(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def flipped(content: bytes, bit: int) -> bytes:
    damaged = bytearray(content)
    damaged[bit // 8 % len(content)] ^= 1 << bit % 8
    return bytes(damaged)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "truncated": lambda content, rng: truncated(content),
    "one bit flipped": lambda content, rng: flipped(content, rng.randrange(8 * len(content))),
    "empty": lambda content, rng: b"",
    "other text": lambda content, rng: rng.choice(
        [b"{}", b"[]", b"5", b'{"job": 5, "probes": [{}], "search": []}\n', b"\0\xff\xfe"]
    ),
    "removed": lambda content, rng: None,
}


def searched(path: Path) -> RunFolder:
    """A run of a supernet job, as one that was trained and searched; nothing was computed."""
    config = quickstart.digits()
    setup = build_setup(config)
    folder = RunFolder.create(path, PIPELINE.job_of("quickstart", "digits", config, setup))
    rng = np.random.default_rng(0)
    space = setup.space
    rows = np.unique(
        space.repair(rng.integers(0, 2, (9, len(space.genes)), dtype=np.int16)), axis=0
    )
    columns = setup.problem.columns()
    records = [
        Record(
            key=one.key,
            choices=one.choices,
            values=dict.fromkeys(setup.problem.value_names, 50.0 + i),
        )
        for i, one in enumerate(architectures(space, rows))
    ]
    for place in (folder.ledger, folder.baseline):
        with FolderLedger(place, columns) as ledger:
            for start in range(0, len(records), 2):
                ledger.append(records[start : start + 2])
            table = to_table(ledger.records, columns)
    folder.write_front(front(table, folder.job()["values"]))
    torch.manual_seed(0)
    checkpoints.save(
        folder.supernet,
        dict(space.build_supernet().state_dict()),
        {},
        {"step": 1, "steps": 1, "seed": 0},
        keep=2,
    )
    finished(folder)
    return folder


def finished(folder: RunFolder) -> None:
    """Adds the small files that a run of any kind may have."""
    line = {
        "steps": 9,
        "epoch": 1.0,
        "images": 9,
        "learning_rate": 0.1,
        "loss": {"largest": 2.0},
        "images_per_second": 5.0,
        "seconds": 1.5,
    }
    folder.supernet.mkdir(exist_ok=True)
    (folder.supernet / "metrics.jsonl").write_text(
        written_lines([{"step": i, **line} for i in (1, 2, 3)]), encoding="utf-8"
    )
    write_json(folder.path / "phases.json", {"train": 61.5, "search": 20.5})
    probes = [
        {
            "key": f"p{i}",
            "inherited": 90.0 + i,
            "inherited_without_recalibration": 10.0,
            "stand_alone": 91.0 - i,
        }
        for i in range(4)
    ]
    folder.write_trust({"probes": probes, "kendall": SIDES, "spearman": SIDES, "seconds": 100.0})
    state = {
        "statistics": {"proposed": 9, "known": 1, "duplicates": 2, "rejected": {"macs": 3}},
        "shards": [],
    }
    folder.shards.mkdir(exist_ok=True)
    for number in (7, 8):
        write_json(folder.shards / f"generation-{number:06d}.json", state)


SIDES = {"recalibrated": 0.8, "without": 0.1}


def codesigned(path: Path) -> RunFolder:
    """A run with everything that only co-searches and GAN searches have besides."""
    folder = make_run(path)
    for file in folder.shards.glob("generation-*"):
        file.unlink()
    finished(folder)
    study = stub_study("digits", Specs(latency=1e4, energy=1.2e7, area=1e9))
    chip = study.chip.choices_of([("dla", 1024, 16), ("shi", 512, 48)])
    row = study.designs(np.ones((1, 11), dtype=np.int16), chip)[0]
    design: Any = described(study, row, {"score": 1.0, "macs": 5.0})
    write_json(folder.path / "chip.json", design)
    for method in ("evolution", "random"):
        place = folder.path / "comparison" / method
        place.mkdir(parents=True)
        write_json(
            place / "outcome.json",
            {"method": method, "violation": 0.25, "num_networks": 12, **design},
        )
    write_collapses(folder, [{"step": 3}])
    place = picture_place(folder, "a.png")
    place.parent.mkdir()
    place.write_bytes(_PICTURE)
    about = {"title": "a", "kind": "samples", "caption": "c"}
    write_list(folder, [listed(folder, "a.png", about)])
    shutil.copytree(folder.ledger, round_ledger(folder, 0))
    return folder


@contextmanager
def stubbed(monkeypatch: pytest.MonkeyPatch, seen: list[Any]) -> Iterator[None]:
    """Nothing is trained or measured, no figure drawn: what a page would be made of is kept
    instead.
    """

    def write(folders: list[RunFolder], output: Path, report_of: Any) -> None:
        seen.append([told(folder) for folder in folders])

    def probed(*args: Any, **kwargs: Any) -> Iterator[Probe]:
        return iter([Probe(f"p{i}", 90.0 + i, 10.0, 91.0 - i) for i in range(4)])

    with monkeypatch.context() as patch:
        for module in (report, trust, base):
            patch.setattr(module, "write_report", write)
        patch.setattr(trust, "connected", lambda address, console: nullcontext())
        patch.setattr(trust, "run_tasks", probed)
        patch.setattr(trust, "has_gpu", lambda: False)
        patch.setattr(
            PIPELINE, "carry_out", lambda folder, config, console: PIPELINE.finish(folder, console)
        )
        patch.setattr(jobs, "pipeline", lambda name: PIPELINE)
        yield


def told(folder: RunFolder) -> dict[str, Any]:
    """Everything that a page is drawn from."""
    run = read_run(folder)
    parts = vars(run) | {
        "pictures": read_pictures(folder),
        "chip": read_chip(folder),
        "outcomes": read_outcomes(folder),
        "collapses": read_collapses(folder),
        "table": _rows(run.table),
        "baseline": _rows(run.baseline),
        "rounds": [_rows(table) for table in run.rounds],
    }
    parts["trust"] = (
        None if run.trust is None else {**run.trust, "seconds": 0}
    )  # of `evoray trust` itself, never twice the same
    return json.loads(json.dumps(parts, default=str))  # type: ignore[no-any-return]


def _rows(table: Any) -> Any:
    return None if table is None else table.to_pylist()


COMMANDS = {
    "show": ["show"],
    "show --json": ["show", "--json"],
    "report": ["report"],
    "resume": ["resume"],
    "export": ["export", "--to", "safetensors"],
    "trust": ["trust", "--probes", "4"],
}
SEEDS = 1  # damages of one kind to one file under one command
OF_ANY_RUN = ("show", "show --json", "report")


def outcome(
    words: list[str],
    folder: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> tuple[int, str, Any]:
    """Exit code, what was said to the user, and every value that was shown."""
    seen: list[Any] = []
    caplog.clear()
    capsys.readouterr()
    code = 0
    with stubbed(monkeypatch, seen):
        try:
            main([words[0], str(folder.path), *words[1:]])
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    printed = capsys.readouterr()
    exported = [
        json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.path.glob("export/*/architecture.json"))
    ]
    weights = [
        file.read_bytes() for file in sorted(folder.path.glob("export/*/weights.safetensors"))
    ]
    return code, printed.err + caplog.text, [printed.out, seen, exported, weights]


def judged(file: str, damage: str, whole: Any, found: tuple[int, str, Any]) -> str:
    """Judges how a command took a damaged file."""
    code, said, values = found
    named = Path(file).name.strip("_").removesuffix(".json") in said or (
        Path(file).parent.name in said and Path(file).name in ("state.json", "weights.safetensors")
    )
    if code == 2 and (named or "job.json" in said or "checkpoint" in said):
        return "refused by name"
    if code == 0 and values == whole:
        return "same values"
    if code == 0 and named:
        return "left out by name"
    if code == 0 and damage in ("truncated", "empty") and file.endswith("metrics.jsonl"):
        return "whole lines are not there"
    if code == 0 and damage == "removed" and any(part in file for part in _OPTIONAL):
        return "left out, it is not there"
    return f"WRONG: {code} {said[-300:]}"


def files_of(folder: RunFolder) -> list[str]:
    """One file of each kind."""
    every = sorted(
        file
        for file in folder.path.rglob("*")
        if file.is_file() and file.name != ".lock" and file.stat().st_size
    )
    kinds = {
        re.sub(r"[0-9]+", "0", str(file.relative_to(folder.path))): str(
            file.relative_to(folder.path)
        )
        for file in every
    }
    return sorted(kinds.values())


@pytest.mark.slow
@pytest.mark.parametrize("make", [searched, codesigned], ids=["supernet", "co-search"])
def test_no_damaged_file_ends_in_a_traceback_or_changes_a_value_in_silence(
    make: Callable[[Path], RunFolder],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    source, counts, wrong = make(tmp_path / "source"), Counter[str](), []
    commands = list(COMMANDS) if make is searched else list(OF_ANY_RUN)
    folder = RunFolder(tmp_path / "run")

    def tried(name: str, damage: str, rng: random.Random) -> tuple[int, str, Any]:
        shutil.rmtree(folder.path, ignore_errors=True)
        shutil.copytree(source.path, folder.path)
        if damage:
            file = folder.path / name
            content = DAMAGES[damage](file.read_bytes(), rng)
            file.unlink() if content is None else file.write_bytes(content)
        return outcome(COMMANDS[command], folder, monkeypatch, capsys, caplog)

    for command in commands:
        code, said, whole = tried("", "", random.Random(0))
        assert code == 0, said
        for name in files_of(source):
            for damage in DAMAGES:
                for seed in range(SEEDS):
                    result = judged(
                        name,
                        damage,
                        whole,
                        tried(name, damage, random.Random(f"{command} {name} {damage} {seed}")),
                    )
                    counts[result.partition(":")[0]] += 1
                    if result.startswith("WRONG"):
                        wrong.append(f"{command} with {name} {damage}: {result}")
    with capsys.disabled():
        print(
            f"\n{make.__name__}: {len(files_of(source))} files, {len(commands)} commands: "
            f"{dict(counts)}"
        )
    assert not wrong, "\n".join(wrong)
