"""The training's metrics_log: metrics.jsonl, one line an interval, which a reader may follow while
the training goes on.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from evoray.files.atomic import open_to_append, replace_bytes
from evoray.records.run_files import parsed_lines, written_lines

_log = logging.getLogger(__name__)


class Intervals(Protocol):
    """Intervals of writing."""

    @property
    def log_every_steps(self) -> int: ...

    @property
    def checkpoint_every_seconds(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Length:
    """Length of a training.

    Attributes:
        steps: Steps in all.
        steps_per_epoch: Steps of one pass over the examples.
        batch_size: Examples of a step, over all ranks.
    """

    steps: int
    steps_per_epoch: int
    batch_size: int


class MetricsLog:
    """Averages losses over an interval and writes them down.

    A line holds step (so many are done), steps, epoch, images, learning_rate, loss by kind of
    subnet, restarts, images_per_second and seconds (of training, summed over resumptions), and what
    was `note`d since the one before.
    """

    def __init__(self, folder: Path | None, config: Intervals, length: Length) -> None:
        """Opens the log; with `folder` None nothing is written."""
        self._file = None if folder is None else folder / "metrics.jsonl"
        self._config = config
        self._length = length
        self._seconds_before = 0.0
        self._start = self._last_line = self._last_checkpoint = time.monotonic()
        self._losses: defaultdict[str, list[float]] = defaultdict(list)
        self._interval_steps = 0
        self._notes: dict[str, dict[str, float]] = {}

    def resume(self, step: int) -> None:
        """Forgets what was written after `step`."""
        self._start = self._last_line = self._last_checkpoint = time.monotonic()
        self._losses.clear()
        self._notes = {}
        self._interval_steps = 0
        if self._file is None or not self._file.is_file():
            return
        content = self._file.read_bytes()
        found, damaged = parsed_lines(content)
        if damaged:
            aside = self._file.with_name(f"damaged-{self._file.name}")
            replace_bytes(aside, content)
            _log.warning(
                "%s is damaged in line %s: it was set aside as %s",
                self._file,
                ", ".join(map(str, damaged)),
                aside.name,
            )
        lines = [line for line in found if line["step"] <= step]
        replace_bytes(self._file, written_lines(lines).encode())
        self._seconds_before = lines[-1]["seconds"] if lines else 0.0

    def note(self, name: str, values: dict[str, float]) -> None:
        """Adds values to the next line of the log."""
        self._notes[name] = values

    def add(
        self,
        step: int,
        losses: Sequence[tuple[str, float]],
        learning_rate: float,
        restarts: int,
        *,
        flush: bool,
    ) -> None:
        """Takes one step, counted from 0, and writes a line when its interval is full or `flush` is
        set.
        """
        for name, loss in losses:
            self._losses[name].append(loss)
        self._interval_steps += 1
        done = step + 1
        if self._file is None or not (flush or done % self._config.log_every_steps == 0):
            return
        now = time.monotonic()
        line = {
            "step": done,
            "steps": self._length.steps,
            "epoch": round(done / self._length.steps_per_epoch, 4),
            "images": done * self._length.batch_size,
            "learning_rate": learning_rate,
            "loss": {name: sum(values) / len(values) for name, values in self._losses.items()},
            "restarts": restarts,
            "images_per_second": self._interval_steps
            * self._length.batch_size
            / max(now - self._last_line, 1e-9),
            "seconds": self._seconds_before + now - self._start,
            **self._notes,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with open_to_append(self._file) as stream:
            stream.write(written_lines([line]).encode())
        self._losses.clear()
        self._notes = {}
        self._interval_steps = 0
        self._last_line = now

    def is_checkpoint_due(self) -> bool:
        """Returns True once so many seconds have passed since it last did."""
        due = time.monotonic() - self._last_checkpoint >= self._config.checkpoint_every_seconds
        if due:
            self._last_checkpoint = time.monotonic()
        return due
