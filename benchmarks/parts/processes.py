"""Finding and killing the processes of a test's own cluster, never anybody else's. Reads Linux's
/proc.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def workers(title: str) -> list[int]:
    """Processes below this one whose command line holds `title`, such as "ray::EvaluationWorker"
    for objective actors; oldest first.
    """
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may have ended since it was listed
            pid = int(entry.name)
            parents[pid] = int(
                (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
            )
            titles[pid] = (
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
    return sorted(
        pid
        for pid, text in titles.items()
        if title in text and os.getpid() in _ancestors(pid, parents)
    )


def _ancestors(pid: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    while pid in parents and parents[pid] not in found:
        pid = parents[pid]
        found.add(pid)
    return found


def lives(pid: int) -> bool:
    """Returns True while the process runs; one that only waits to be reaped by its parent does not
    count.
    """
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except OSError:
        return False


def kill_worker(title: str, index: int = 0, *, patience_seconds: float = 60.0) -> int:
    """Kills one of `workers(title)` with SIGKILL as soon as there is one; its pid."""
    until = time.monotonic() + patience_seconds
    while not (found := workers(title)):
        assert time.monotonic() < until, f"no process {title} has appeared"
        time.sleep(0.02)
    os.kill(found[index % len(found)], signal.SIGKILL)
    return found[index % len(found)]


def eventually(holds: Callable[[], bool], *, patience_seconds: float = 60.0) -> bool:
    """Waits until it holds; False when it does not in time."""
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()
