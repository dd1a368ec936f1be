"""SIGINT and SIGTERM: one line that says how to go on, the signal's exit code, and an end that
nothing can put off.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evoray.distributed.cluster import session
from evoray.distributed.cluster.session import undisturbed

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import sys, time
from pathlib import Path
from jobs.terminal.stopping import advising, resuming, stoppable

with stoppable(), advising(resuming(Path("/somewhere/my run"))):
    ready = False
    while True:
        try:
            if not ready:
                ready = True
                print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("told", flush=True)
            if sys.argv[1] == "polite":
                raise
"""


def started(manners: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "platform")])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, manners], env=environment, text=True, **pipes
    )  # type: ignore[call-overload]
    assert program.stdout.readline() == "ready\n"
    return program  # type: ignore[no-any-return]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_program_with_its_code_and_one_line(
    number: signal.Signals, code: int
) -> None:
    program = started("polite")
    program.send_signal(number)
    program.send_signal(number)  # as `timeout` does, to the program and to its group
    _, errors = program.communicate(timeout=30)
    assert program.returncode == code
    assert errors == "evoray: interrupted; `evoray resume '/somewhere/my run'` goes on from here\n"


def test_a_second_signal_ends_what_does_not_listen() -> None:
    program = started("deaf")
    program.send_signal(signal.SIGTERM)
    assert program.stdout is not None
    said = program.stdout.readline()
    assert said == "told\n", program.communicate()
    time.sleep(1.2)  # sooner it would count as the same
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=30)
    assert program.returncode == 143
    assert errors == "evoray: interrupted; `evoray resume '/somewhere/my run'` goes on from here\n"


def test_a_signal_in_a_clean_up_is_handled_after_it() -> None:
    steps: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: steps.append("handled"))
    try:
        with undisturbed():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("cleaned up")
        assert steps == ["cleaned up", "handled"]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_logs_that_a_failed_run_keeps_are_not_removed_by_a_later_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "session").mkdir()
    monkeypatch.setattr(
        session, "_known", [session.Session(frozenset([tmp_path / "session"]), frozenset())]
    )
    found = session.own_session()
    assert tmp_path / "session" in found.folders
    found.end(keep_folders=True)
    assert tmp_path / "session" not in session.own_session().folders
    assert (tmp_path / "session").is_dir()
