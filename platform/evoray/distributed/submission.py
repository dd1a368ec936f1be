"""Sending a program to a running cluster. The submitter ships the code: a runtime_env inside a submitted program is refused."""

from __future__ import annotations

import os
from pathlib import Path

_LEFT_BEHIND = [".venv", ".git", "runs", "build", "*.egg-info", "__pycache__", "tests"]
_MODE = "RAY_AUTH_MODE"


def submit_program(address: str, command: str, *, working_dir: Path) -> str:
    """Ships `working_dir` and runs `command` there on the cluster; returns the submission's id.

    Call it before anything has imported ray.

    Raises:
        ConnectionError: There is no cluster at `address`.
        PermissionError: The cluster wants another token than this user has, or one at all.
    """
    if _MODE not in os.environ and has_token():
        os.environ[_MODE] = "token"  # clusters ask for one by default, but Ray's client shows its own only in this mode, read at import
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    environment = {
        "working_dir": str(working_dir),
        "py_modules": [str(working_dir / "platform" / "evoray")],
        "excludes": _LEFT_BEHIND,
    }
    try:
        return str(JobSubmissionClient(address).submit_job(entrypoint=command, runtime_env=environment))
    except AuthenticationError as error:
        reason = str(error).splitlines()[0]
        raise PermissionError(
            f"the cluster at {address} refused: {reason}; put its token (on its head: `ray get-auth-token`) into ~/.ray/auth_token"
        ) from None


def has_token() -> bool:
    """Where Ray looks for one."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    return bool(os.environ.get("RAY_AUTH_TOKEN")) or Path(named or Path.home() / ".ray" / "auth_token").is_file()
