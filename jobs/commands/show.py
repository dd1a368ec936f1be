"""Prints a run's front as a table, also while the run goes on."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import tyro

from evoray.files.visible_text import visible
from evoray.records.ledger import read_ledger
from evoray.records.run_folder import RunFolder
from evoray.report.tables import front_rows, front_table
from evoray.results import picking
from jobs.terminal.console import Terminal
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import call


def main(arguments: Sequence[str]) -> None:
    call(show, arguments, prog="evoray show")


def show(
    run: Annotated[Path, tyro.conf.Positional], /, json: bool = False, csv: bool = False
) -> None:
    """Prints the front: a table in a terminal, every row and digit without a frame in a pipe or
    file.

    Args:
        run: Run folder.
        json: Prints one JSON object instead, with every value in full.
        csv: Prints comma-separated values instead, with every value in full.
    """
    with user_input():
        if json and csv:
            raise ValueError("--json and --csv exclude each other: give one of them")
        stages = [(folder, folder.job()) for folder in RunFolder.open(run).stages()]
        if json:
            _print_json(stages)
        elif csv:
            _print_csv(stages)
        else:
            _print_tables(stages, Terminal())


def _table(folder: RunFolder, job: dict[str, Any]) -> pa.Table | None:  # Any: JSON
    table = read_ledger(folder.ledger)
    if table is not None:
        picking.check_of_one_run(table, job)
    return table


_Stages = Sequence[tuple[RunFolder, dict[str, Any]]]  # Any: job.json


def _print_tables(stages: _Stages, console: Terminal) -> None:
    if not stages:
        console.print("no stage of the run has begun yet")
    for folder, job in stages:
        table = _table(folder, job)
        name = (
            f"stage {job['stage']} of job {job['job']}" if "stage" in job else f"job {job['job']}"
        )
        if table is None:
            steps = folder.metrics()
            trained = (
                f"trained for {steps[-1]['step']} of {steps[-1]['steps']} steps"
                if steps
                else "not trained yet"
            )
            console.print(f"no evaluations of {name} yet; the supernet is {trained}")
            continue
        console.print(f"{len(table)} evaluations of {name} in space {job['space']}")
        front = picking.front(table, job["values"])
        console.print(front_table(job, front, whole=not console.is_terminal))


def _print_json(stages: _Stages) -> None:
    found = []
    for folder, job in stages:
        table = _table(folder, job)
        front = [] if table is None else front_rows(job, picking.front(table, job["values"]))
        about = {
            "job": job["job"],
            "stage": job.get("stage"),
            "space": job["space"],
            "evaluations": 0 if table is None else len(table),
        }
        found.append({**about, "values": job["values"], "front": front})
    print(json.dumps({"fronts": found}, indent=2))


def _print_csv(stages: _Stages) -> None:
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    for folder, job in stages:
        names = [value["name"] for value in job["values"]]
        stage = [job["stage"]] if "stage" in job else []
        writer.writerow([*(["stage"] if stage else []), "key", "knee", *names])
        table = _table(folder, job)
        for row in [] if table is None else front_rows(job, picking.front(table, job["values"])):
            writer.writerow(
                [*stage, row["key"], int(row["knee"]), *(row["values"][name] for name in names)]
            )
    text = lines.getvalue()
    print(visible(text, keep="\n") if sys.stdout.isatty() else text, end="")
