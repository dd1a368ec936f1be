"""Small quickstart runs killed with SIGKILL, or stopped, at random moments and resumed: what is
lost and repeated; one JSON line.

    evoray bench kills [--pieces driver worker shard train_driver train_worker signals]
                       [--tries 5] [--seed 0]

The kills of one piece hit one run, at random moments that the seed draws; a killed driver is
followed by `evoray resume`, and so is the end of each run. All are held against one undisturbed
run: "lost" counts records, or trained steps below a checkpoint, that were there at a kill and are
not at the end, and networks that were never evaluated; "repeated" networks measured, or steps
trained, twice; "equal" says whether the front's networks, or the trained weights, are those of the
undisturbed run. "signals" stops a run in each of its phases. A line a piece goes to standard error
as soon as it is found.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts.driven import Driven
from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder

_LOGGED = f"{Path(__file__).with_name('parts') / 'logged.py'}:LOGGED"
_EVALUATIONS = 60
_SMALL = [
    *(
        "run",
        "quickstart",
        "--data.limit",
        "256",
        "--train.checkpoint-every-seconds",
        "0",
        "--train.log-every-steps",
        "1",
    ),
    *(
        "--search.population",
        "6",
        "--search.targets",
        "accuracy",
        "macs",
        "--cluster.max-failures",
        "20",
        "--cluster.max-attempts",
        "20",
    ),
    *("--measure.calibration-images", "64", "--measure.validation-limit", "64"),
]
_SEARCHED = [
    "--train.epochs",
    "1",
    "--search.evaluations",
    str(_EVALUATIONS),
    "--search.no-baseline",
    "--measure.objectives",
    _LOGGED,
]
_TRAINED = ["--train.epochs", "8", "--search.evaluations", "6", "--search.no-baseline"]
_TITLES = {
    "worker": "ray::EvaluationWorker",
    "shard": "ray::Shard",
    "train_worker": "ray::RayTrainWorker",
}
_PIECES = ("driver", "worker", "shard", "train_driver", "train_worker", "signals")


class Runs:
    """Run folders below one folder, each made of a finished one."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._started: list[Driven] = []

    def start(self, words: list[str], folder: RunFolder) -> Driven:
        self._started.append(Driven(words, self.log(folder)))
        return self._started[-1]

    def close(self) -> None:
        """Kills what still runs, where the benchmark itself was stopped."""
        for driven in self._started:
            if driven.process.poll() is None:
                driven.kill()
            driven.clean(set())

    def finished(self, name: str, words: list[str]) -> RunFolder:
        """The undisturbed run of these options, made once."""
        folder = RunFolder(self._place / name)
        if not folder.report.is_file():
            self.start([*_SMALL, *words, "--run-dir", str(folder.path)], folder).end()
        return folder

    def trained(self, name: str, finished: RunFolder) -> RunFolder:
        """A run that still has to search: the finished one's configuration and supernet."""
        folder = RunFolder(self._place / name)
        folder.path.mkdir()
        shutil.copy(finished.path / "job.json", folder.path)
        shutil.copytree(finished.supernet, folder.supernet)
        return folder

    def log(self, folder: RunFolder) -> Path:
        """The file of what was measured, a key a line."""
        return self._place / f"{folder.path.name}.log"

    def resumed(self, folder: RunFolder) -> Driven:
        return self.start(["resume", str(folder.path)], folder)


def rows_of(location: Path) -> dict[str, dict[str, Any]]:
    table = read_ledger(location)
    return {} if table is None else {row["key"]: row for row in table.to_pylist()}


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def front_keys(folder: RunFolder) -> list[str]:
    front = folder.front()
    return [] if front is None else sorted(front["key"].to_pylist())


def newest_step(folder: RunFolder) -> int:
    """The newest checkpoint's; 0 where there is none."""
    return max((int(place.name[5:]) for place in folder.supernet.glob("step-*")), default=0)


def weights_of(folder: RunFolder) -> bytes:
    return (
        folder.supernet / f"step-{newest_step(folder):08d}" / "weights.safetensors"
    ).read_bytes()


def moments(rng: np.random.Generator, tries: int, last: int) -> list[int]:
    """Different numbers of done things, rising, at each of which something is killed."""
    return sorted(
        int(found)
        for found in rng.choice(np.arange(1, last), size=min(tries, last - 1), replace=False)
    )


def killed_searches(runs: Runs, piece: str, tries: int, rng: np.random.Generator) -> dict[str, Any]:
    reference = runs.finished("searched", _SEARCHED)
    folder = runs.trained(piece, reference)
    log = runs.log(folder)
    before: dict[str, dict[str, Any]] = {}
    kills = 0
    driven = runs.resumed(folder)
    for moment in moments(rng, tries, _EVALUATIONS - 5):
        if not driven.wait_for(lambda moment=moment: len(set(lines_of(log))) >= moment):  # type: ignore[misc]
            break
        time.sleep(rng.uniform(0.0, 0.2))
        if piece == "driver":
            driven.kill()
            kills += 1
            before |= rows_of(folder.ledger)
            driven = runs.resumed(folder)
        else:
            kills += driven.kill_one(_TITLES[piece], int(rng.integers(2)))
    driven.end()
    runs.resumed(folder).end()
    found, expected, measured = rows_of(folder.ledger), rows_of(reference.ledger), lines_of(log)
    return {
        "kills": kills,
        "lost": sum(found.get(key) != row for key, row in before.items())
        + len(expected.keys() - found.keys()),
        "beyond": len(found.keys() - expected.keys()),
        "repeated": len(measured) - len(set(measured)),
        "equal": front_keys(folder) == front_keys(reference),
    }


def killed_trainings(
    runs: Runs, piece: str, tries: int, rng: np.random.Generator
) -> dict[str, Any]:
    reference = runs.finished("trained", _TRAINED)
    steps = newest_step(reference)
    folder = RunFolder(reference.path.with_name(piece))
    kept: dict[int, str] = {}
    kills = repeated = 0
    driven = runs.start([*_SMALL, *_TRAINED, "--run-dir", str(folder.path)], folder)
    for moment in moments(rng, tries, steps - 1):
        if not driven.wait_for(lambda moment=moment: newest_step(folder) >= moment):  # type: ignore[misc]
            break
        time.sleep(rng.uniform(0.0, 0.2))
        if piece == "train_driver":
            driven.kill()
            kills += 1
        else:
            kills += driven.kill_one(_TITLES[piece], int(rng.integers(2)))
        safe, lines = newest_step(folder), steps_of(folder)
        repeated += sum(step > safe for step in lines)
        kept |= {step: line for step, line in lines.items() if step <= safe}
        if piece == "train_driver":
            driven = runs.resumed(folder)
    driven.end()
    runs.resumed(folder).end()
    found = steps_of(folder)
    lost = sum(found.get(step) != line for step, line in kept.items()) + len(
        set(range(1, steps + 1)) - found.keys()
    )
    return {
        "kills": kills,
        "lost": lost,
        "repeated": repeated,
        "equal": weights_of(folder) == weights_of(reference),
    }


def steps_of(folder: RunFolder) -> dict[int, str]:
    """The lines of the training curve by their step; one trained anew has other seconds."""
    return {line["step"]: json.dumps({**line, "restarts": 0}) for line in folder.metrics()}


def stopped(runs: Runs, phase: str, number: signal.Signals) -> dict[str, Any]:
    """Stops a run in one of its phases and resumes it."""
    words = ["--train.epochs", "1", "--search.evaluations", "24"]
    name = f"{phase}-{number.name}"
    if phase in ("search", "baseline", "report"):
        folder = runs.trained(name, runs.finished("stopped", words))
        driven = runs.resumed(folder)
    else:
        folder = RunFolder(runs.finished("stopped", words).path.with_name(name))
        alone = ["--cluster.train-workers", "1"] if phase == "training by one" else []
        driven = runs.start([*_SMALL, *words, *alone, "--run-dir", str(folder.path)], folder)
    reached: dict[str, Callable[[], bool]] = {
        "start": lambda: any(driven.folder.glob("ray/session_*/logs/gcs_server*")),
        "training by one": lambda: newest_step(folder) > 0,
        "training by two": lambda: newest_step(folder) > 0,
        "search": lambda: len(rows_of(folder.ledger)) > 0,
        "baseline": lambda: len(rows_of(folder.baseline)) > 0,
        "report": lambda: "baseline" in folder.phases(),
    }
    was_reached = driven.wait_for(reached[phase])
    code, seconds, processes, folders = driven.stop(number)
    text = driven.text()
    before = rows_of(folder.ledger)
    driven.clean(set())
    runs.resumed(folder).end()
    found = rows_of(folder.ledger)
    return {
        "reached": was_reached,
        "code": code,
        "seconds": round(seconds, 2),
        "processes_left": processes,
        "folders_left": folders,
        "advised": text.count(f"evoray resume {shlex.quote(str(folder.path))}") == 1,
        "lost": sum(found.get(key) != row for key, row in before.items()),
    }


_PHASES = ("start", "training by one", "training by two", "search", "baseline", "report")


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench kills")
    parser.add_argument("--pieces", nargs="+", choices=_PIECES, default=_PIECES)
    parser.add_argument("--phases", nargs="+", choices=_PHASES, default=_PHASES)
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    line: dict[str, Any] = {"benchmark": "kills", "seed": options.seed}

    def tell(name: str, found: dict[str, Any]) -> None:
        line[name] = found
        print(
            f"{name:<26}" + "  ".join(f"{key} {value}" for key, value in found.items()),
            file=sys.stderr,
            flush=True,
        )

    with (
        tempfile.TemporaryDirectory(prefix="evoray-kills-runs-") as place,
        closing(Runs(Path(place))) as runs,
    ):
        for piece in options.pieces:
            rng = np.random.default_rng([options.seed, _PIECES.index(piece)])
            if piece == "signals":
                for phase in options.phases:
                    for number in (signal.SIGTERM, signal.SIGINT):
                        tell(f"{phase} {number.name}", stopped(runs, phase, number))
            else:
                way = killed_trainings if piece.startswith("train") else killed_searches
                tell(piece, way(runs, piece, options.tries, rng))
    print(json.dumps(line))


if __name__ == "__main__":
    main()
