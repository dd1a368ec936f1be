"""Prints a run's front as a table, also while the run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from evoray import selection
from evoray.ledger import read_ledger
from evoray.report.tables import front_table
from evoray.run_folder import RunFolder
from jobs.terminal.errors import user_input


def main(arguments: Sequence[str]) -> None:
    tyro.cli(show, args=arguments, prog="evoray show")


def show(run: Annotated[Path, tyro.conf.Positional], /) -> None:
    """Prints the front.

    Args:
        run: The run folder.
    """
    console = Console()
    with user_input():
        stages = RunFolder.open(run).stages()
        jobs = [stage.job() for stage in stages]
    if not stages:
        console.print("no stage of the run has begun yet")
    for stage, job in zip(stages, jobs, strict=True):
        _show(stage, job, console)


def _show(folder: RunFolder, job: dict[str, Any], console: Console) -> None:  # Any: JSON
    table = read_ledger(folder.ledger)
    name = f"stage {job['stage']} of job {job['job']}" if "stage" in job else f"job {job['job']}"
    if table is None:
        steps = folder.metrics()
        trained = f"trained for {steps[-1]['step']} of {steps[-1]['steps']} steps" if steps else "not trained yet"
        console.print(f"no evaluations of {name} yet; the supernet is {trained}", highlight=False)
        return
    console.print(f"{len(table)} evaluations of {name} in space {job['space']}", highlight=False)
    console.print(front_table(job, selection.front(table, job["values"])))
