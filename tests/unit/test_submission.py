"""Files that `evoray submit` sends to a cluster: our packages, wherever they are installed, and the
user's folder where it is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evoray.distributed.cluster import submission
from jobs.cli import main
from jobs.commands import submit

ROOT = Path(__file__).resolve().parents[2]
WORDS = ["submit", "quickstart", "--address", "http://127.0.0.1:1", "--run-dir", "/shared/run"]
OBJECTS = "def build():\n    raise SystemExit('executed')\n"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path | None]]:
    """Commands and working folders, instead of sending them."""
    found: list[tuple[str, Path | None]] = []

    def note(address: str, command: str, *, working_dir: Path | None) -> str:
        found.append((command, working_dir))
        return "id"

    monkeypatch.setattr(submit, "submit_program", note)
    return found


@pytest.mark.parametrize(
    ("words", "travels"),
    [
        ([], False),
        (["--space", "bignas:digits", "--search.constraints", "macs<=8e6"], False),
        (["--space", "mine.py:build"], True),
        (["--space=parts/other.py:build"], True),
        (["--search.targets", "accuracy", "mine:build"], True),
        (["--space", "torch.nn:Linear"], False),
    ],
)
def test_the_current_folder_travels_where_options_name_objects_in_it(
    words: list[str],
    travels: bool,
    sent: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "parts").mkdir()
    for name in ("mine.py", "parts/other.py"):
        (tmp_path / name).write_text(OBJECTS, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    main([*WORDS, *words])
    ((command, folder),) = sent
    assert command.startswith("python -m jobs.quickstart --run-dir /shared/run")
    assert folder == (tmp_path if travels else None)


def test_an_object_beside_the_current_folder_is_refused(
    sent: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine.py").write_text(OBJECTS, encoding="utf-8")
    (tmp_path / "inner").mkdir()
    monkeypatch.chdir(tmp_path / "inner")
    with pytest.raises(SystemExit) as stopped:
        main([*WORDS, "--space", "../mine.py:build"])
    assert stopped.value.code == 2
    assert "'../mine.py:build' is outside the current folder" in capsys.readouterr().err
    assert not sent


def files(environment: Mapping[str, Any]) -> set[str]:
    """Names of the packages that travel, each of which must be a package with its files."""
    folders = [Path(place) for place in environment["py_modules"]]
    assert all((folder / "__init__.py").is_file() for folder in folders)
    return {folder.name for folder in folders}


def test_our_packages_travel_from_a_checkout() -> None:
    environment = submission.shipped(None)
    assert files(environment) == {"evoray", "jobs", "objectives", "searchspaces"}
    assert "working_dir" not in environment
    assert submission.shipped(ROOT)["working_dir"] == str(ROOT)


@pytest.mark.slow
def test_a_plain_install_sends_our_packages_and_nothing_beside_them(tmp_path: Path) -> None:
    wheels, target = tmp_path / "wheels", tmp_path / "site-packages"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    source = tmp_path / "source"  # a build writes beside what it builds
    source.mkdir()
    packages = ("platform", "jobs", "objectives", "searchspaces", "benchmarks")
    for name in (*packages, "pyproject.toml", "README.md"):
        subprocess.run(["cp", "-r", ROOT / name, source / name], check=True)
    subprocess.run(
        [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", wheels, source], check=True
    )
    (wheel,) = wheels.glob("evoray-*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-index", "--target", target, wheel], check=True
    )
    (target / "stranger").mkdir()
    program = (
        "import json; from evoray.distributed.cluster.submission import shipped; "
        "print(json.dumps(shipped(None)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(target)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert files(found) == {"evoray", "jobs", "objectives", "searchspaces"}
    assert {Path(place).parent for place in found["py_modules"]} == {target}
    assert "working_dir" not in found
    for data in ("evoray/report/templates", "objectives/asic/constants.toml"):
        assert (target / data).exists()
