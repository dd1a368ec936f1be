"""Drivers to kill: a whole search in a process of its own, which starts in milliseconds because it is forked from one that has imported all."""

from __future__ import annotations

import multiprocessing
import signal
from pathlib import Path
from typing import Any

import evoray
from evoray.api import Result
from tests.synthetic import Macs, Score, TableSpace

_SERVED = multiprocessing.get_context("forkserver")
_SERVED.set_forkserver_preload(["tests.drivers", "sklearn", "moocore", "numba"])


def search(folder: Path | None, *, log: str = "", seconds: float = 0.0, **options: Any) -> Result:  # Any: of `evoray.search`
    """A search of the made-up space by two shards; every measured key is written to `log`."""
    score = Score(seconds=seconds, log=log)
    common: dict[str, Any] = {"searcher": "nsga2", "population": 12, "num_shards": 2, "seed": 1, **options}
    return evoray.search(TableSpace(), [score, Macs()], run_dir=folder, **common)


def start(folder: Path, **options: Any) -> Any:  # Any: a process of that context
    """The same in a new process."""
    process = _SERVED.Process(target=search, args=(folder,), kwargs=options)
    process.start()
    return process


def killed_after(after_seconds: float, folder: Path, **options: Any) -> bool:
    """Starts a search and kills it with SIGKILL so long after; False when it had ended before."""
    process = start(folder, **options)
    process.join(after_seconds)
    process.kill()
    process.join()
    return bool(process.exitcode == -signal.SIGKILL)
