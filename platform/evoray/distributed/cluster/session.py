"""Finds and ends the processes and the session folder of a local Ray cluster, so that nothing of it
stays behind. Imports no Ray.

Ray ends its own processes in its own time, and not those of a start that was interrupted. Reads
Linux's /proc; elsewhere Ray's way has to do.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_PATIENCE_SECONDS = 2.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Process = tuple[int, str]  # pid and start time: a pid alone may be another's by now


@dataclass(frozen=True)
class Session:
    """The clusters that this process has started.

    Attributes:
        folders: Folders of the sessions.
        processes: The heads and everything below them.
    """

    folders: frozenset[Path]
    processes: frozenset[Process]

    def end(self, *, keep_folders: bool = False) -> None:
        """Kills what still lives; removes the folders, and the link that Ray sets to the newest."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while (alive := _living(self.processes)) and time.monotonic() < until:
            for pid in alive:
                with contextlib.suppress(OSError):  # it ended in this moment
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        for folder in () if keep_folders else self.folders:
            shutil.rmtree(folder, ignore_errors=True)
            newest = folder.parent / "session_latest"
            with contextlib.suppress(OSError):
                if newest.is_symlink() and os.readlink(newest) == str(folder):
                    newest.unlink()
        _known.clear()  # folders that are kept are kept for good


# Clusters that this process has found of itself; what has lost its parent since cannot be found any
# more.
_known: list[Session] = []


@contextmanager
def undisturbed() -> Iterator[None]:
    """Lets a block that cleans up come to its end: a signal that comes meanwhile is handled after
    it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    before = {
        number: signal.signal(number, lambda *signaled: came.append(signaled))
        for number in _SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for came_first, frame in came[:1]:
            handler = before[signal.Signals(came_first)]
            if callable(handler):
                handler(came_first, frame)
            elif handler is not signal.SIG_IGN:
                os.kill(os.getpid(), came_first)


def own_session() -> Session:
    """Finds the clusters of this process, those too that it has found before: to be asked before
    Ray ends them.
    """
    found = _children()
    known = [session for session in (*_known, found) if session.folders or session.processes]
    whole = Session(
        frozenset(folder for session in known for folder in session.folders if folder.is_dir()),
        frozenset(process for session in known for process in session.processes),
    )
    _known[:] = [whole]
    return whole


def _children() -> Session:
    table = {
        entry.name: stat for entry in Path("/proc").glob("[0-9]*") if (stat := _stat(entry.name))
    }
    children: dict[str, list[str]] = {}
    for pid, fields in table.items():
        children.setdefault(fields[1], []).append(pid)
    mine = str(os.getpid())
    # Ray names a session after the process that started it, and hands its folder to every process
    # of the head.
    named = re.compile(rf"--[\w-]+=(/.*?/session_[\d_-]+_{mine})(?:/|$)")
    folders: set[Path] = set()
    below: list[str] = []
    for pid in children.get(mine, []):
        found = {Path(match[1]) for word in _words(pid) if (match := named.match(word))}
        folders |= {
            path for path in found if path.is_dir()
        }  # a worker's command line, as one word, begins like a path too
        below += [pid] if found else []
    processes: set[Process] = set()
    while below:
        pid = below.pop()
        processes.add((int(pid), table[pid][19]))
        below += children.get(pid, [])
    return Session(frozenset(folders), frozenset(processes))


def _living(processes: frozenset[Process]) -> list[int]:
    """Selects the processes that live, without those that only wait for their parent to notice."""
    return [
        pid
        for pid, started in processes
        if (stat := _stat(str(pid))) and stat[19] == started and stat[0] != "Z"
    ]


def _stat(pid: str) -> list[str]:
    """State, parent, ..., start time (the twentieth), as proc(5) counts them from the third; empty
    where it has ended.
    """
    try:
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="utf-8", errors="replace")
            .rpartition(")")[2]
            .split()
        )
    except OSError:
        return []


def _words(pid: str) -> list[str]:
    try:
        return (
            Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", errors="replace").split("\0")
        )
    except OSError:
        return []
