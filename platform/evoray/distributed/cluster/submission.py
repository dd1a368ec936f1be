"""Sending a program to a running cluster. The submitter ships the code: a runtime_env inside a
submitted program is refused.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

OURS = ("evoray", "jobs", "objectives", "searchspaces")
_LEFT_BEHIND = [".venv", ".git", "runs", "build", "*.egg-info", "__pycache__"]
_MODE = "RAY_AUTH_MODE"


def submit_program(address: str, command: str, *, working_dir: Path | None = None) -> str:
    """Ships our packages, and `working_dir` where there is one, and runs `command` on the cluster;
    returns the submission's id.

    Call it before anything has imported ray.

    Raises:
        ConnectionError: There is no cluster at `address`.
        PermissionError: The cluster wants another token than this user has, or one at all.
    """
    if _MODE not in os.environ and has_token():
        os.environ[_MODE] = (
            # clusters ask for one by default, but Ray's client shows its own only in this mode,
            # read at import
            "token"
        )
    from ray.exceptions import AuthenticationError
    from ray.job_submission import JobSubmissionClient

    try:
        return str(
            JobSubmissionClient(address).submit_job(
                entrypoint=command, runtime_env=shipped(working_dir)
            )
        )
    except AuthenticationError as error:
        reason = str(error).splitlines()[0]
        raise PermissionError(
            f"the cluster at {address} refused: {reason}; put its token (on its head: `ray "
            "get-auth-token`) into ~/.ray/auth_token"
        ) from None


def shipped(working_dir: Path | None) -> dict[str, Any]:  # Any: a runtime environment of Ray's
    """Our packages alone, from where this program imports them: an editable install, a checkout or
    a folder of many other packages.
    """
    environment: dict[str, Any] = {
        "py_modules": [str(_folder_of(name)) for name in OURS],
        "excludes": _LEFT_BEHIND,
    }
    return environment if working_dir is None else {**environment, "working_dir": str(working_dir)}


def has_token() -> bool:
    """Looks for a token where Ray looks: its two environment variables and the file in the home
    folder.
    """
    named = os.environ.get("RAY_AUTH_TOKEN_PATH", "")
    return (
        bool(os.environ.get("RAY_AUTH_TOKEN"))
        or Path(named or Path.home() / ".ray" / "auth_token").is_file()
    )


def _folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None, f"{package} has lost its __init__.py"
    return Path(spec.origin).parent
