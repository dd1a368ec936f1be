"""Starts a job: evoray run JOB [--preset P] [--run-dir D] [--any.field value]."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jobs
from jobs.terminal.console import Terminal, set_up_streams
from jobs.terminal.errors import user_input, warn_of
from jobs.terminal.limits import check_machine
from jobs.terminal.parsing import parse, take_options
from jobs.terminal.stopping import advising, resuming
from searchspaces.base import nearest


def main(arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        warn_of(jobs.REGISTRY)
        print(
            "usage: evoray run JOB [--preset P] [--run-dir D] [--any.field value]\n"
            "       evoray run JOB --help, --help-all\njobs:  "
            f"{', '.join(jobs.names())}"
        )
        raise SystemExit(0 if arguments else 2)
    run(arguments[0], arguments[1:])


def run(job: str, arguments: Sequence[str]) -> None:
    """Runs one job with the rest of the command line; `python -m jobs.JOB` calls this too."""
    set_up_streams()
    with user_input():
        presets = jobs.load(job).PRESETS
        words, own = take_options(arguments, ("--preset", "--run-dir"))
        preset = own["--preset"] or next(iter(presets))
        if preset not in presets:
            raise ValueError(f"job {job!r} has no preset {preset!r}; {nearest(preset, presets)}")
        about = (
            f"Job {job}, preset {preset} of {', '.join(presets)}. Also: --preset P, --run-dir D (a "
            "folder that does not exist yet)."
        )
        default = presets[preset]()
        config = parse(type(default), default, words, prog=f"evoray run {job}", description=about)
    _start(job, preset, config, own["--run-dir"])


def _start(job: str, preset: str, config: Any, run_dir: str) -> None:  # Any: the job's own type
    # Torch and Ray are imported only now: neither help nor a mistyped option waits for them.
    from evoray.distributed.cluster.connection import check_cluster
    from evoray.records.run_folder import RunFolder
    from jobs.pipelines import datasets

    console = Terminal()
    with user_input():
        path = run_dir or _free_folder(Path("runs"), job)
        RunFolder(path)  # a path that can be none is told before the long look at the rest
        pipeline = jobs.pipeline(job)
        setup = pipeline.build_setup(config)
        config, contents = datasets.settled(config)
        datasets.check_readable(setup)
        check_machine(config, config.cluster.address)
        check_cluster(config.cluster.address)
        folder = RunFolder.create(
            path, {**pipeline.job_of(job, preset, config, setup), "data": contents}
        )
    console.print(f"run folder: {folder.path}")
    with folder.writing(), advising(resuming(folder.path)):
        pipeline.carry_out(folder, config, console)


def _free_folder(parent: Path, job: str) -> Path:
    """runs/JOB, or runs/JOB-2, runs/JOB-3 ... where that is taken."""
    candidates = [parent / job, *(parent / f"{job}-{n}" for n in range(2, 10_000))]
    return next(path for path in candidates if not path.exists())
