"""Durable records/s, in batches and one at a time, with 0, 100,000 and 1,000,000 records already
there; one JSON line.

    evoray bench ledger [--batch 256] [--folder FOLDER]

Each append is on the disk when it returns. Beside it: Optuna's journal storage, trials asked and
told in a study of as many parameters. Goals: 2,000 records/s in batches, and no slow-down at
1,000,000 records. Opening the full ledger again is timed, and read as a table while it is open. The
disk decides much: --folder puts the files on another one.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.parts.spaces import Grid
from benchmarks.parts.timing import seconds, spread
from evoray.records.columns import texts
from evoray.records.ledger import FolderLedger, num_parts, read_ledger
from evoray.records.records import Records
from evoray.records.table import schema
from searchspaces.base import key_array

SIZES = (0, 100_000, 1_000_000)
SPACE = Grid()
FILL = 20_000  # records in one append on the way to the next size


def records(num: int, rng: np.random.Generator) -> Records:
    """Makes records such as a search writes: two values, a time, parents."""
    choices = rng.integers(0, SPACE.num_options, (num, SPACE.num_genes), dtype=np.int16)
    keys = key_array(SPACE, choices)
    return Records.filled(
        keys,
        choices,
        values={"nothing": rng.random(num), "sum": choices.sum(axis=1).astype(np.float64)},
        seconds={"nothing": rng.random(num)},
        parents=np.stack([np.roll(keys, 1), np.roll(keys, 2)], axis=1),
        operators=texts(["crossover+mutation"] * num),
        workers=texts(["host:1"] * num),
    )


def rates(
    append: Callable[[Records], None], size: int, num_batches: int, rng: np.random.Generator
) -> list[float]:
    """Records per second in each of ten groups of batches."""
    per_group = max(1, num_batches // 10)
    batches = [[records(size, rng) for _ in range(per_group)] for _ in range(10)]

    def write(group: list[Records]) -> None:
        for batch in group:
            append(batch)

    return [per_group * size / seconds(partial(write, group)) for group in batches]


def ours(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    columns = schema(["nothing", "sum"], ["nothing"])
    found: dict[str, Any] = {"in_batches": {}, "singly": {}, "files": {}}
    medians = []
    with FolderLedger(folder, columns) as ledger:
        for size in options.sizes:
            while len(ledger) < size:
                ledger.append(records(min(FILL, size - len(ledger)), rng))
            found["singly"][size] = spread(rates(ledger.append, 1, options.singles, rng), 1)
            found["in_batches"][size] = spread(
                rates(ledger.append, options.batch, options.batches, rng), 1
            )
            found["files"][size] = num_parts(folder)
            medians.append(found["in_batches"][size]["median"])
        found["batches_last_over_first"] = round(medians[-1] / medians[0], 3)
        singles = [s["median"] for s in found["singly"].values()]
        found["singly_last_over_first"] = round(singles[-1] / singles[0], 3)
        found["seconds_to_read_as_table"] = round(seconds(lambda: read_ledger(folder)), 2)
        found["records"] = len(ledger)
    found["files_after_closing"] = num_parts(folder)
    found["seconds_to_open_again"] = round(
        seconds(lambda: FolderLedger(folder, columns).close()), 2
    )
    return found


def optuna_journal(folder: Path, trials: int) -> dict[str, float]:
    """Trials per second through a study on Optuna's journal file."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(logging.WARNING)
    warnings.simplefilter("ignore")
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(folder / "journal.log"))),
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    space = {
        g.name: optuna.distributions.IntDistribution(0, len(g.options) - 1) for g in SPACE.genes
    }

    def tell(count: int) -> None:
        for _ in range(count):
            study.tell(study.ask(space), 0.0)

    return spread([trials // 3 / seconds(lambda: tell(trials // 3)) for _ in range(3)], 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="evoray bench ledger")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--batches", type=int, default=40)
    parser.add_argument("--singles", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--trials", type=int, default=90)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to write; a temporary folder unless told"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        found = ours(Path(folder) / "ledger", options)
        journal = optuna_journal(Path(folder), options.trials)
    first = options.sizes[0]
    line = {
        "benchmark": "ledger",
        "batch": options.batch,
        "records_per_second": found,
        "optuna_journal_trials_per_second": journal,
        "batches_over_optuna": round(found["in_batches"][first]["median"] / journal["median"], 1),
        "singly_over_optuna": round(found["singly"][first]["median"] / journal["median"], 2),
        "goals": {"in_batches": 2000, "last_over_first": 1.0},
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
