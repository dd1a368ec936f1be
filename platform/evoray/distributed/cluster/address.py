"""Reads the address of a Ray cluster: one of its own, or one to join. Imports no Ray, so that a
configuration can be checked without.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

LOCAL = "local"
AUTO = "auto"
_VARIABLE = "RAY_ADDRESS"  # Ray sets it inside a submitted job; a user may as well
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):(?P<port>[0-9]{1,5})")


def check_address(address: str, name: str) -> None:
    """
    Raises:
        ValueError: `address`, which the option or variable `name` gave, is none that a program can
            join.
    """
    if address in ("", LOCAL, AUTO):
        return
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not 0 < int(found["port"]) < 65536:
        hint = "; a dashboard's URL is for `evoray submit`" if "://" in address else ""
        raise ValueError(
            f"{name} takes HOST:PORT of a Ray cluster (6379 by default), auto for the one that "
            "`ray start` started "
            f"on this machine, or local; got {address!r}{hint}"
        )


def joined(address: str) -> str:
    """HOST:PORT of the cluster to join, "" for a local one of its own.

    Without an address it is the one that RAY_ADDRESS names, as in a submitted job. Whatever else
    runs on this machine is joined only where `address` is "auto".

    Raises:
        ValueError: RAY_ADDRESS names none that a program can join.
        ConnectionError: `address` is "auto", and `ray start` has left no address on this machine.
    """
    named = os.environ.get(_VARIABLE, "")
    if address in ("", AUTO):
        check_address(
            named, f"the environment variable {_VARIABLE} (--cluster.address local overrules it)"
        )
    if address == "" or (address == AUTO and named not in ("", LOCAL)):
        address = named
    if address == AUTO:
        address = _started_here()
    return "" if address == LOCAL else address


def _started_here() -> str:
    file = temporary_folder() / "ray_current_cluster"
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        raise ConnectionError(
            f"no Ray cluster to join: `ray start` has left no address in {file}; start one with "
            "`ray start --head`, name one with "
            "--cluster.address HOST:PORT, or leave it out for a local one"
        ) from None


def temporary_folder() -> Path:
    """The folder where Ray keeps what it knows of this machine's clusters."""
    linux = os.environ.get("TMPDIR", "/tmp") if Path("/proc").is_dir() else ""
    return Path(os.environ.get("RAY_TMPDIR") or linux or tempfile.gettempdir()) / "ray"
