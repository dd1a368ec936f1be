"""Checks that this machine has what evoray needs, and says what to do where it has not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from jobs.terminal.console import Terminal
from jobs.terminal.parsing import call

_NEEDED = (
    "torch",
    "torchvision",
    "ray",
    "numpy",
    "pyarrow",
    "moocore",
    "pymoo",
    "optuna",
    "sklearn",
    "safetensors",
    "plotly",
    "tyro",
    "rich",
)
_OPTIONAL = {
    "onnx": "export --to onnx",
    "onnxruntime": "export --to onnx",
    "onnxscript": "export --to onnx",
}
_FREE_BYTES = 2 * 1024**3

Finding = tuple[bool, str]


def main(arguments: Sequence[str]) -> None:
    call(doctor, arguments, prog="evoray doctor")


def doctor(ray_start: bool = True) -> None:
    """Checks Python, packages, cores, memory, accelerators, disk and a local Ray cluster; exit code
    1 when something is missing.

    Args:
        ray_start: Starts a local Ray cluster for a moment; switch it off to look at the rest only.
    """
    checks: dict[str, Callable[[], Finding]] = {
        "python": _python,
        "packages": _packages,
        "torch and torchvision": _pair,
        "accelerator": _accelerator,
        "cores": lambda: (True, f"{os.cpu_count()} cores"),
        "disk": _disk,
        "optional packages": _optional,
        "data": _data,
        "Ray's token": _token,
    }
    if ray_start:
        checks["ray"] = _ray
    table = Table("", "check", "finding")
    healthy = True
    for name, check in checks.items():
        good, finding = check()
        healthy &= good
        table.add_row(Text("ok", style="green") if good else Text("no", style="red"), name, finding)
    Terminal().print(table)
    sys.exit(0 if healthy else 1)


def _python() -> Finding:
    return sys.version_info >= (3, 11), f"{platform.python_version()} (3.11 or newer is needed)"


def _packages() -> Finding:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    return (
        not missing,
        f"missing: {', '.join(missing)}; run `make demo` or `pip install -e .`"
        if missing
        else f"all {len(_NEEDED)} found",
    )


def _pair() -> Finding:
    try:
        torch, torchvision = (
            importlib.import_module("torch"),
            importlib.import_module("torchvision"),
        )
        torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
    except (ImportError, RuntimeError, AttributeError) as error:
        return (
            False,
            f"do not fit each other ({str(error).splitlines()[0]}): install both from the same "
            "registry",
        )
    return True, f"{torch.__version__} with {torchvision.__version__}"


def _accelerator() -> Finding:
    torch = importlib.import_module("torch")
    if torch.cuda.is_available():
        return True, ", ".join(
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        )
    return True, "none: training and measuring run on the CPU"


def _disk() -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    return (
        free >= _FREE_BYTES,
        f"{free / 1024**3:.0f} GiB free in {tempfile.gettempdir()} (2 are needed)",
    )


def _optional() -> Finding:
    missing = [name for name in _OPTIONAL if importlib.util.find_spec(name) is None]
    return (
        True,
        f"not there: {', '.join(missing)} (pip install 'evoray[onnx]')"
        if missing
        else "onnx export is possible",
    )


def _data() -> Finding:
    root = os.environ.get("EVORAY_DATA", "")
    if not root:
        return True, "EVORAY_DATA is not set: digits are built in, other data needs --data.root"
    return os.path.isdir(
        root
    ), f"EVORAY_DATA is {root}{'' if os.path.isdir(root) else ', which is no folder'}"


def _token() -> Finding:
    """A token opens every cluster of this user; Ray writes it as the system's umask has it."""
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        is_open = bool(file.stat().st_mode & 0o077)
    except OSError:
        return True, "none yet: a local cluster writes one, for its owner only"
    return (
        True,
        f"others may read {file}, which opens your clusters to them: chmod 600 {file}"
        if is_open
        else f"{file} is its owner's only",
    )


def _ray() -> Finding:
    from evoray.distributed.cluster.connection import (
        cluster,  # Ray is imported only when it is to be started
    )

    try:
        with cluster(dashboard=False):
            return True, "a local cluster starts"
    except (RuntimeError, OSError, ConnectionError) as error:
        return False, f"no local cluster starts: {str(error).splitlines()[0]}"
