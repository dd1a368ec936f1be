"""The whole quickstart, small: stopped and killed in training, killed in the search, resumed,
shown, trusted and exported.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).resolve().parents[2]
SMALL = [
    *(
        "--train.epochs",
        "3",
        "--train.checkpoint-every-seconds",
        "0",
        "--train.log-every-steps",
        "1",
        "--data.limit",
        "256",
    ),
    *(
        "--search.evaluations",
        "24",
        "--search.population",
        "6",
        "--measure.calibration-images",
        "64",
        "--measure.validation-limit",
        "64",
    ),
]


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    """Environment with a folder of its own for Ray, outside tmp_path because socket paths are
    limited to 107 bytes.
    """
    folder = tempfile.mkdtemp(prefix="evoray-job-")
    yield {
        **os.environ,
        "RAY_TMPDIR": folder,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")]),
    }
    shutil.rmtree(folder, ignore_errors=True)


def evoray(words: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "jobs.cli", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stopped_when(
    words: list[str],
    environment: dict[str, str],
    reached: Callable[[], bool],
    number: signal.Signals,
) -> tuple[int, str]:
    """Starts a command and sends it a signal as soon as `reached()`; exit code and standard
    error.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "jobs.cli", *words],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 240
    while not reached():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < until, "what the test waits for did not happen"
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def newest_step(folder: RunFolder) -> int:
    """The newest checkpoint's step; 0 where there is none."""
    return max(
        (int(place.name.removeprefix("step-")) for place in folder.supernet.glob("step-*")),
        default=0,
    )


def test_a_job_stopped_and_killed_is_resumed_to_its_end_and_its_front_can_be_used(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    run = tmp_path / "run"
    folder = RunFolder(run)
    start = ["run", "quickstart", "--run-dir", str(run), *SMALL]
    code, errors = stopped_when(start, environment, lambda: newest_step(folder) > 0, signal.SIGINT)
    assert code == 130, errors  # Ray Train, which trains here, has a handler of its own
    assert f"`evoray resume {run}` goes on from here" in errors
    assert not list(Path(environment["RAY_TMPDIR"]).glob("ray/session_*"))
    stopped = newest_step(folder)
    stopped_when(
        ["resume", str(run)], environment, lambda: newest_step(folder) > stopped, signal.SIGKILL
    )
    killed = newest_step(folder)
    assert killed > stopped
    assert not folder.ledger.exists()
    stopped_when(
        ["resume", str(run)],
        environment,
        lambda: len(list(folder.ledger.glob("part-*.parquet"))) > 1,
        signal.SIGKILL,
    )
    before = read_ledger(folder.ledger)
    assert before is not None
    steps = [line["step"] for line in folder.metrics()]
    assert steps == list(range(1, newest_step(folder) + 1)), (
        "a step of the training was lost or trained twice"
    )
    weights = [p.name for p in folder.supernet.glob("step-*")]
    output = evoray(["resume", str(run)], environment)
    assert "Pareto front" in output
    assert [p.name for p in folder.supernet.glob("step-*")] == weights, (
        "the finished training was repeated"
    )
    frame = pd.read_parquet(sorted(folder.ledger.glob("part-*.parquet"))[0])
    assert {"accuracy", "latency", "macs", "params", "accuracy_seconds", "weights_digest"} <= set(
        frame.columns
    )
    table = read_ledger(folder.ledger)
    assert table is not None
    keys = table["key"].to_pylist()
    assert len(keys) == len(set(keys)) == 24
    assert table.slice(0, len(before)).equals(before), (
        "what was finished before the kill has changed"
    )
    assert max(table["macs"].to_pylist()) <= 1.5e6
    baseline = read_ledger(folder.baseline)
    assert baseline is not None
    assert len(baseline) == 24
    for name in ("job.json", "front.parquet", "report.html", "phases.json"):
        assert (run / name).is_file()
    assert not [f for f in run.rglob("*") if f.suffix in (".pkl", ".pickle", ".pt")]
    assert f"{len(table)} evaluations" in evoray(["show", str(run)], environment)
    files = evoray(
        ["export", str(run), "--pick", "best:accuracy", "--to", "safetensors"], environment
    ).split()
    about = json.loads(Path(files[1]).read_text(encoding="utf-8"))
    assert about["values"]["accuracy"] == max(read_ledger(folder.ledger)["accuracy"].to_pylist())  # type: ignore[index]
    assert "Kendall tau" in evoray(["trust", str(run), "--probes", "3"], environment)
    trust = folder.trust()
    assert trust is not None
    assert len(trust["probes"]) == 3
    assert "Trust in the supernet" in folder.report.read_text(encoding="utf-8")
