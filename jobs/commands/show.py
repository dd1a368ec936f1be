"""Prints a run's front as a table, also while the run goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

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
        folder = RunFolder.open(run)
        job = folder.job()
    table = read_ledger(folder.ledger)
    if table is None:
        steps = folder.metrics()
        trained = f"trained for {steps[-1]['step']} of {steps[-1]['steps']} steps" if steps else "not trained yet"
        console.print(f"no evaluations yet; the supernet is {trained}")
        return
    console.print(f"{len(table)} evaluations of job {job['job']} in space {job['space']}", highlight=False)
    console.print(front_table(job, selection.front(table, job["values"])))
