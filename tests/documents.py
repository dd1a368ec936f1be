"""Fenced blocks of README and docs, and a shell in which what they show can be run.

A comment before a block says what becomes of it: `file: NAME` writes it into a folder, `run` runs
it there, `run with ray` runs it there in a test that may start a cluster.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"(?:<!-- (run|run with ray|file: \S+) -->\n)?```(\w*)\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        mark: Text of the comment before it; "" for none.
        language: "python", "sh", "" for none.
        text: Lines of the block.
    """

    mark: str
    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """Every fenced block of a page, in their order."""
    return [Block(*found) for found in _BLOCK.findall(text)]


def files(text: str) -> dict[str, str]:
    """The files that a page shows, by name."""
    shown = [block for block in blocks(text) if block.mark.startswith("file: ")]
    return {block.mark.removeprefix("file: "): block.text for block in shown}


def run(shown: list[Block], mark: str, folder: Path, *, tree: Path = ROOT) -> str:
    """Writes the files of these blocks into `folder` and runs those of this mark there, one after
    the other, with the packages of `tree`; returns what they printed.

    Raises:
        AssertionError: One of them failed.
    """
    scripts = _scripts(folder.parent / f"{folder.name}-scripts")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(scripts), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(tree), str(tree / "platform")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_ADDOPTS": "-p no:cacheprovider",
    }
    printed = []
    for block in shown:
        if block.mark.startswith("file: "):
            (folder / block.mark.removeprefix("file: ")).write_text(block.text, encoding="utf-8")
        if block.mark != mark:
            continue
        program = [sys.executable, "-c"] if block.language == "python" else ["sh", "-ec"]
        done = subprocess.run(
            [*program, block.text],
            cwd=folder,
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, f"{block.text}\n{done.stdout}\n{done.stderr}"
        printed.append(done.stdout)
    return "\n".join(printed)


def _scripts(folder: Path) -> Path:
    """`python` and `evoray` of the interpreter that runs the tests."""
    folder.mkdir(exist_ok=True)
    for name, words in (("python", ""), ("evoray", " -m evoray")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return folder
