"""Drivers to kill: a whole search in a process of its own, which starts in milliseconds because it
is forked from one that has imported all.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import evoray
from evoray.api import Result
from tests.synthetic import Macs, Score, TableSpace

_ROOT = Path(__file__).resolve().parents[1]
_SERVED = multiprocessing.get_context("forkserver")
_SERVED.set_forkserver_preload(["tests.drivers", "sklearn", "moocore", "numba"])


def search(
    folder: Path | None, *, log: str = "", seconds: float = 0.0, **options: Any
) -> Result:  # Any: of `evoray.search`
    """A search of the made-up space by two shards; every measured key is written to `log`."""
    score = Score(seconds=seconds, log=log)
    common: dict[str, Any] = {
        "searcher": "nsga2",
        "population": 12,
        "num_shards": 2,
        "seed": 1,
        **options,
    }
    return evoray.search(TableSpace(), [score, Macs()], run_dir=folder, **common)


def start(
    folder: Path, *, complaint: Path | None = None, **options: Any
) -> Any:  # Any: a process of that context
    """The same in a new process, whose last words go to the file `complaint`."""
    process = _SERVED.Process(target=_search, args=(folder, complaint), kwargs=options)
    # The server imports before it learns its parent's sys.path, so the first start hands it this
    # working tree in the environment.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(_ROOT), str(_ROOT / "platform")]))
        process.start()
    return process


def _search(folder: Path, complaint: Path | None, *, full_after: int = 0, **options: Any) -> None:
    if full_after:
        _limit_files(full_after, folder)
    try:
        search(folder, **options)
    except Exception as error:
        if complaint is not None:
            complaint.write_text(f"{type(error).__name__}: {error}", encoding="utf-8")
        sys.exit(1)


def _limit_files(num_parts: int, folder: Path) -> None:
    """Keeps this process from writing a file of more than 200 bytes, from so many parts of the
    ledger on: the kernel refuses, as on a full disk.
    """

    def limit() -> None:
        while len(list(folder.glob("ledger/part-*.parquet"))) < num_parts:
            time.sleep(0.005)
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (200, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
        )

    threading.Thread(target=limit, daemon=True).start()


def killed_after(after_seconds: float, folder: Path, **options: Any) -> bool:
    """Starts a search and kills it with SIGKILL so long after; False when it had ended before."""
    process = start(folder, **options)
    process.join(after_seconds)
    process.kill()
    process.join()
    return bool(process.exitcode == -signal.SIGKILL)
