"""A run that is stopped and goes on, and its ledger read with pyarrow alone.

python examples/read_a_run.py
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds
import torch

import evoray
import searchspaces
from objectives.base import Candidate, Goal, Needs
from objectives.complexity import Cost


class Slow:
    """A stand-in for something dear: how far a network's output is from zero on one fixed image."""

    name, unit, goal, needs = "distance", "", Goal.MAXIMIZE, Needs(cpus=1)
    calls, most = 0, 10_000

    def open(self, device: torch.device) -> None:
        self._image = torch.linspace(-1, 1, 16 * 16).reshape(1, 1, 16, 16)

    def measure(self, candidate: Candidate) -> float:
        if Slow.calls == Slow.most:
            raise KeyboardInterrupt  # as when somebody presses Ctrl-C
        Slow.calls += 1
        with torch.inference_mode():
            return float(candidate.subnet.eval()(self._image).abs().mean())


def search(run: Path) -> evoray.Result:
    """Starts the search, or goes on with it."""
    space = searchspaces.load("bignas:digits")
    return evoray.search(
        space,
        [Slow(), Cost(space, "macs")],
        searcher="nsga2",
        evaluations=24,
        population=8,
        run_dir=run,
    )


def main() -> None:
    """Stops a search after 10 of its 24 measurements, goes on, and reads what it left."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        Slow.calls, Slow.most = 0, 10
        try:
            search(run)
        except KeyboardInterrupt:
            print("stopped after", Slow.calls, "measurements")
        Slow.calls, Slow.most = 0, 10_000
        result = search(run)
        print("measured when it went on:", Slow.calls)

        job = json.loads((run / "job.json").read_text(encoding="utf-8"))
        print("space:", job["space"], "seed:", job["seed"])
        ledger = ds.dataset(sorted((run / "ledger").glob("part-*.parquet"))).to_table()
        ok = ledger.filter(pc.equal(ledger["status"], "ok"))
        print("records:", ledger.num_rows, "measured:", ok.num_rows)
        print("slowest:", round(pc.max(ok["distance_seconds"]).as_py(), 4), "s")
        print("front:", result.front().num_rows, "networks")


if __name__ == "__main__":
    main()
