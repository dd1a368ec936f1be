"""Live progress of a run's phases: bars in a terminal, a line now and then where the output is a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from evoray.run_folder import RunFolder

_LINE_SECONDS = 10.0
_POLL_SECONDS = 0.5


class PhaseProgress:
    """One phase: so many of a total, with a word on how it goes. `console` is where it is shown."""

    def __init__(self, console: Console, bars: Progress, name: str, total: int) -> None:
        self._console = console
        self._bars = bars
        self._name = name
        self._total = total
        self._task = bars.add_task(name, total=total, note="")
        self._last_line = time.monotonic()

    def update(self, completed: int, note: str) -> None:
        """Shows where the phase is."""
        self._bars.update(self._task, completed=completed, note=note)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= _LINE_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"{self._name}: {completed} of {self._total}  {note}", highlight=False, soft_wrap=True)


@contextmanager
def phase(console: Console, name: str, total: int) -> Iterator[PhaseProgress]:
    """Shows a bar for the time of the block."""
    columns = (
        TextColumn("[bold]{task.description:<9}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
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
def tailing(metrics: Callable[[], list[dict[str, Any]]], bar: PhaseProgress) -> Iterator[None]:  # Any: JSON
    """Shows the newest line of the training metrics while the block runs."""
    stop = threading.Event()

    def tail() -> None:
        while not stop.wait(_POLL_SECONDS):
            show()

    def show() -> None:
        lines = metrics()
        if lines:
            losses = "  ".join(f"{name} {loss:.2f}" for name, loss in lines[-1]["loss"].items())
            bar.update(lines[-1]["step"], f"loss: {losses}  {lines[-1]['images_per_second']:.0f} images/s")

    thread = threading.Thread(target=tail, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    show()
