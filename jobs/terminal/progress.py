"""Live progress of a run's phases: bars in a terminal, a line now and then where the output is a
file.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from evoray.files.visible_text import visible
from evoray.records.run_folder import RunFolder
from jobs.terminal.console import Terminal

_LINE_SECONDS = 10.0
_POLL_SECONDS = 0.5


class PhaseProgress:
    """One phase: so many of a total, with a word on how it goes. `console` is where it is shown."""

    def __init__(self, console: Terminal, bars: Progress, name: str, total: int) -> None:
        self._console = console
        self._bars = bars
        self._name = name
        self._total = total
        self._task = bars.add_task(visible(name), total=total, note="")
        self._last_line = time.monotonic()

    def update(self, completed: int, note: str) -> None:
        """Shows where the phase is."""
        self._bars.update(self._task, completed=completed, note=visible(note))
        if not self._console.is_terminal and time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"{self._name}: {completed} of {self._total}  {note}")


@contextmanager
def phase(console: Terminal, name: str, total: int) -> Iterator[PhaseProgress]:
    """Shows a bar for the time of the block."""
    columns = (
        TextColumn("{task.description:<9}", style="bold", markup=False),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield PhaseProgress(console, bars, name, total)


@contextmanager
def timed(folder: RunFolder, name: str) -> Iterator[None]:
    """Adds the seconds of the block to a phase of the run."""
    start = time.monotonic()
    try:
        yield
    except BaseException:
        with suppress(OSError):  # a full disk has shown itself already, and better
            folder.add_phase(name, time.monotonic() - start)
        raise
    folder.add_phase(name, time.monotonic() - start)


@contextmanager
def tailing(
    metrics: Callable[[], list[dict[str, Any]]], bar: PhaseProgress
) -> Iterator[None]:  # Any: JSON
    """Shows the newest line of the training metrics while the block runs."""
    stop = threading.Event()

    def tail() -> None:
        while not stop.wait(_POLL_SECONDS):
            show()

    def show() -> None:
        lines = metrics()
        if lines:
            losses = "  ".join(f"{name} {loss:.2f}" for name, loss in lines[-1]["loss"].items())
            bar.update(
                lines[-1]["step"], f"loss: {losses}  {lines[-1]['images_per_second']:.0f} images/s"
            )

    thread = threading.Thread(target=tail, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    show()
