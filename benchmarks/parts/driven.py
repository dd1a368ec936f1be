"""One `evoray` command with a Ray cluster of its own: started, killed or stopped at a moment, and
all that is left of it found.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.parts.logged import LOG
from benchmarks.parts.processes import lives, workers

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_SECONDS = 600.0  # the machine may be busy with other things


class Driven:
    """A command that runs. Its cluster's folder is its own, which tells its processes from anybody
    else's.

    Attributes:
        process: The driver.
        folder: Session folder of its cluster.
    """

    def __init__(self, words: list[str], log: Path) -> None:
        self.folder = Path(
            tempfile.mkdtemp(prefix="evoray-kills-", dir="/tmp")
        )  # sockets' paths are limited
        self._output = self.folder / "output"
        environment = {
            **os.environ,
            "RAY_TMPDIR": str(self.folder),
            "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "platform")]),
            LOG: str(log),
        }
        with self._output.open("wb") as stream:
            command = [sys.executable, "-m", "jobs.cli", *words]
            self.process = subprocess.Popen(
                command, cwd=_ROOT, env=environment, stdout=stream, stderr=stream
            )

    def text(self) -> str:
        """Everything the process has printed so far."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, reached: Callable[[], bool]) -> bool:
        """Waits until it is so; False when the command ends before.

        Raises:
            TimeoutError: Neither happens.
        """
        until = time.monotonic() + _PATIENCE_SECONDS
        while not reached():
            if self.process.poll() is not None:
                return False
            if time.monotonic() > until:
                raise TimeoutError(
                    f"what was waited for did not happen in {_PATIENCE_SECONDS} s; the command "
                    f"printed: {self.text()}"
                )
            time.sleep(0.01)
        return True

    def kill(self) -> None:
        """Kills the driver, then what it has left behind, as a machine that goes down would."""
        found = self.processes()
        self.process.kill()
        self.process.wait()
        self.clean(found)

    def kill_one(self, title: str, index: int) -> bool:
        """Kills one of its cluster's processes of that title; False where there is none."""
        mine = self.processes()
        found = [pid for pid in workers(title) if pid in mine]
        if found:
            os.kill(found[index % len(found)], signal.SIGKILL)
        return bool(found)

    def end(self) -> str:
        """Waits for its end; what it printed.

        Raises:
            RuntimeError: It failed.
        """
        code = self.process.wait(timeout=_PATIENCE_SECONDS)
        text = self.text()
        self.clean(set())
        if code:
            raise RuntimeError(f"the command ended with {code}: {text}")
        return text

    def stop(self, number: signal.Signals) -> tuple[int, float, int, int]:
        """Sends the signal; exit code, seconds until the end, processes and session folders that
        are left.
        """
        found = self.processes()
        start = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        seconds = time.monotonic() - start
        left = sum(lives(pid) for pid in found | self._named())
        return code, seconds, left, len(list(self.folder.glob("ray/session_*")))

    def clean(self, found: set[int]) -> None:
        """Ends what is left and removes the folder."""
        for pid in found | self._named():
            with contextlib.suppress(OSError):  # it has ended by itself
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self) -> set[int]:
        """The driver's own and those of its cluster that still hang on it."""
        parents = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it may have ended since it was listed
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
                )
        found = self._named() | {self.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return found

    def _named(self) -> set[int]:
        """Processes whose command line or first environment holds the folder; Ray's workers
        overwrite theirs.
        """
        name = str(self.folder).encode()
        found = set()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if name in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                    found.add(int(entry.name))
        return found - {os.getpid()}
