"""Submits a job to a running Ray cluster: evoray submit JOB --address URL [the job's own
options].
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import jobs
from evoray.distributed.cluster.submission import submit_program
from jobs.terminal.errors import user_input
from jobs.terminal.parsing import take_options
from searchspaces.plugins import own


def main(arguments: Sequence[str]) -> None:
    """`--run-dir` must be on storage that every node of the cluster sees; the current folder
    travels where options name objects in it.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            "usage: evoray submit JOB --address http://HOST:8265 --run-dir SHARED_FOLDER "
            "[--any.field value]"
        )
        raise SystemExit(0 if arguments else 2)
    with user_input():
        job = arguments[0]
        jobs.check(job)  # without loading it, which would import ray too early
        rest, mine = take_options(arguments[1:], ("--address",))
        if not mine["--address"]:
            raise ValueError(
                "evoray submit needs --address, the URL of the cluster's dashboard, such as "
                "http://127.0.0.1:8265"
            )
        _check_folders(rest)
        command = shlex.join(["python", "-m", f"jobs.{job}", *rest])
        submission = submit_program(mine["--address"], command, working_dir=_own_folder(rest))
    mode = "RAY_AUTH_MODE=token " if os.environ.get("RAY_AUTH_MODE") == "token" else ""
    print(
        f"submitted as {submission}; follow it with: {mode}ray job logs --address "
        f"{mine['--address']} {submission}"
    )


def _check_folders(words: Sequence[str]) -> None:
    """
    Raises:
        ValueError: The run would be written, or data looked for, in the job's working folder, which
            is thrown away with it.
    """
    run = take_options(words, ("--run-dir",))[1]["--run-dir"]
    if not run:
        raise ValueError(
            "evoray submit needs --run-dir, a folder that every node of the cluster sees, such as "
            "/shared/runs/first"
        )
    given = {"--run-dir": run}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name.startswith("--") and name.endswith(".root"):
            given[name] = value if equals else following
    for name, folder in given.items():
        if not Path(folder).is_absolute():
            raise ValueError(
                f"{name} of a submitted job must be absolute, for the job runs in a folder of its "
                f"own; got {folder!r}"
            )


def _own_folder(words: Sequence[str]) -> Path | None:
    """The current folder where the job's options name an object of the user's own that is in it;
    else nothing of it is needed.

    Raises:
        ValueError: Such an object is in a file that does not travel.
    """
    here = Path.cwd().resolve()
    values = [word.partition("=")[2] if word.startswith("--") else word for word in words]
    found = [
        one for one in map(_located, values) if one is not None and not Path(one.text).is_absolute()
    ]
    for one in found:
        if one.text.startswith("..") and not one.file.is_relative_to(here):
            raise ValueError(
                f"{one.text!r} is outside the current folder {here}, which alone is sent to the "
                "cluster: "
                "go to a folder that holds it, or give its absolute path on storage that every "
                "node sees"
            )
    inside = [
        one
        for one in found
        if one.file.is_relative_to(here) and "site-packages" not in one.file.parts
    ]
    return here if inside else None


def _located(text: str) -> own.Own | None:
    """Finds the object that `text` names, if it is one of this machine."""
    try:
        return own.locate(text) if own.is_own(text, ()) else None
    # a registered name with its preset, a constraint, an address; the job itself says what it does
    # not know
    except ValueError:
        return None
