"""Sending a program to a running cluster. The submitter ships the code: a runtime_env inside a submitted program is refused."""

from __future__ import annotations

from pathlib import Path

from ray.job_submission import JobSubmissionClient

_LEFT_BEHIND = [".venv", ".git", "runs", "build", "*.egg-info", "__pycache__", "tests"]


def submit_program(address: str, command: str, *, working_dir: Path) -> str:
    """Ships `working_dir` and runs `command` there on the cluster; returns the submission's id.

    Raises:
        ConnectionError: There is no cluster at `address`.
    """
    client = JobSubmissionClient(address)
    environment = {
        "working_dir": str(working_dir),
        "py_modules": [str(working_dir / "platform" / "evoray")],
        "excludes": _LEFT_BEHIND,
    }
    return str(client.submit_job(entrypoint=command, runtime_env=environment))
