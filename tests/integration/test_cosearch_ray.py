"""The co-search job, small, on a real cluster: two supernets, one chip, methods beside each other;
a finished run is not run again.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.report.chip_files import read_chip, read_outcomes
from evoray.results.export import load_exported
from jobs.pipelines.cosearch.build import build_setup
from jobs.pipelines.cosearch.pipeline import PIPELINE
from objectives.base import BuiltCandidate
from searchspaces.base import Architecture

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    *("--first.train.epochs", "1", "--first.data.limit", "128", "--first.calibration-images", "32"),
    *(
        "--second.train.epochs",
        "1",
        "--second.data.limit",
        "64",
        "--second.calibration-images",
        "32",
    ),
    *(
        "--first.validation-limit",
        "64",
        "--second.validation-limit",
        "32",
        "--search.evaluations",
        "8",
        "--search.population",
        "4",
    ),
    *("--search.compare", "nas then asic"),
]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Environment with a folder of its own for Ray, outside tmp_path because socket paths are
    limited to 107 bytes.
    """
    folder = tempfile.mkdtemp(prefix="evoray-chip-")
    yield {
        **os.environ,
        "RAY_TMPDIR": folder,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
    }
    shutil.rmtree(folder, ignore_errors=True)


def evoray(words: list[str], environment: dict[str, str], code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_networks_and_chip_are_found_together_and_compared(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    run = tmp_path / "run"
    output = evoray(["run", "nasaic", "--run-dir", str(run), *SMALL], environment)
    assert "Methods at equal numbers of measured networks" in output
    folder = RunFolder(run)
    table = read_ledger(folder.ledger)
    assert table is not None
    assert len(table) == 8
    assert max(table["violation"].to_pylist()) == 0.0
    assert sorted(path.name for path in folder.supernet.iterdir()) == ["digit", "strokes"]
    outcomes = {outcome["method"]: outcome for outcome in read_outcomes(folder)}
    assert list(outcomes) == ["evolution", "nas then asic"]
    assert outcomes["evolution"]["num_networks"] <= outcomes["nas then asic"]["num_networks"]
    chip = read_chip(folder)
    assert chip is not None
    assert chip["values"]["accuracy"] == max(table["accuracy"].to_pylist())
    text = folder.report.read_text(encoding="utf-8")
    assert "<h2>Chip</h2>" in text
    before = json.loads((run / "phases.json").read_text(encoding="utf-8"))
    evoray(["resume", str(run)], environment)
    after = read_ledger(folder.ledger)
    assert after is not None
    assert after.equals(table)
    assert (
        json.loads((run / "phases.json").read_text(encoding="utf-8"))["comparison"]
        == before["comparison"]
    )
    evoray(["export", str(run), "--pick", "best:accuracy", "--to", "safetensors"], environment)
    check_exported(folder)
    assert "over 3 networks" in evoray(["trust", str(run), "--probes", "3"], environment)
    trust = folder.trust()
    assert trust is not None
    inherited = {
        key: round(value, 9)
        for key, value in zip(table["key"].to_pylist(), table["accuracy"].to_pylist(), strict=True)
    }
    assert all(inherited[probe["key"]] == round(probe["inherited"], 9) for probe in trust["probes"])
    assert "<h2>Trust in the supernet</h2>" in folder.report.read_text(encoding="utf-8")


def check_exported(folder: RunFolder) -> None:
    """Both networks of the design stand below one key, compute what the search measured, and know
    where they run.
    """
    (design,) = (folder.path / "export").iterdir()
    for task in build_setup(PIPELINE.config_of(folder)).tasks:
        place = design / task.label
        about = json.loads((place / "architecture.json").read_text(encoding="utf-8"))
        architecture = Architecture(about["space"], tuple(about["choices"]), about["key"])
        task.objective.open(torch.device("cpu"))
        assert (
            task.objective.measure(
                BuiltCandidate(task.space, architecture, load_exported(place, task.space))
            )
            == about["values"][f"{task.objective.name}@{task.label}"]
        )
        assert about["layers"]
        assert all(about["chip"][layer["slot"]]["pes"] for layer in about["layers"])
