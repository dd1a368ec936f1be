"""Writes report.html of one run, or of several runs compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

import jobs
from evoray.records.run_folder import RunFolder
from evoray.report.page import write_report
from evoray.report.sections import SystemReport
from jobs.terminal.console import Terminal
from jobs.terminal.errors import complain, user_input
from jobs.terminal.parsing import call


def main(arguments: Sequence[str]) -> None:
    call(report, arguments, prog="evoray report")


def report(
    runs: Annotated[tuple[Path, ...], tyro.conf.Positional], /, output: Path | None = None
) -> None:
    """Writes the picture of a run, one self-contained file.

    Args:
        runs: Run folders; several are drawn into one report, to compare them.
        output: HTML file to write; None for report.html in the first run folder.
    """
    with user_input():
        if not runs:
            raise ValueError("evoray report needs at least one run folder, got none")
        folders = [RunFolder.open(run) for run in runs]
        file = output or folders[0].report
        stages = [stage for folder in folders for stage in _readable(folder, len(folders))]
        write_report(stages, file, _report_of)
    Terminal().print(str(file))


def _report_of(folder: RunFolder) -> SystemReport:
    """The sections of the system whose job made the run; none of a search from Python, or of a job
    that is not here.
    """
    job = folder.job()["job"]
    return jobs.pipeline(job).report if job in jobs.names() else SystemReport()


def _readable(folder: RunFolder, num_runs: int) -> list[RunFolder]:
    """The stages of a run; a damaged one among several is named and left out of the report."""
    try:
        return folder.stages()
    except ValueError as error:
        if num_runs == 1:
            raise
        complain(ValueError(f"run {folder.path} is left out of the report: {error}"))
        return []
