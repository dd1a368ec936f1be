"""Finding and killing the processes of a test's own cluster, never anybody else's."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

import psutil


def workers(title: str) -> list[psutil.Process]:
    """Worker processes below this one whose command line holds `title`, such as "ray::Bench" for objective actors; oldest first."""
    found = []
    for process in psutil.Process(os.getpid()).children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may have ended since it was listed
            if any(title in part for part in process.cmdline()):
                found.append(process)
    return sorted(found, key=lambda p: p.pid)


def kill_worker(title: str, index: int = 0, *, patience_seconds: float = 60.0) -> int:
    """Kills one of `workers(title)` with SIGKILL as soon as there is one; its pid."""
    until = time.monotonic() + patience_seconds
    while not (found := workers(title)):
        assert time.monotonic() < until, f"no process {title} has appeared"
        time.sleep(0.02)
    os.kill(found[index % len(found)].pid, signal.SIGKILL)
    return found[index % len(found)].pid


def eventually(holds: Callable[[], bool], *, patience_seconds: float = 60.0) -> bool:
    """Waits until it holds; False when it does not in time."""
    until = time.monotonic() + patience_seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return holds()
