"""The README's walk-through, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(
    re.findall(r"<!-- walkthrough: (\S+) -->\n```python\n(.*?)```", README, flags=re.DOTALL)
)


@pytest.mark.slow
def test_the_walk_through_runs_as_it_stands(tmp_path: Path) -> None:
    assert list(BLOCKS) == ["mlp.py", "few_shot.py", "search.py"]
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "platform")]),
    }
    first = subprocess.run(
        [sys.executable, "search.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert "accuracy" in first.stdout
    assert "knee: Architecture(space='mlp'" in first.stdout
    again = subprocess.run(
        [sys.executable, "search.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert again.stdout == first.stdout


def test_every_command_the_readme_names_exists() -> None:
    from jobs import commands

    named = set(re.findall(r"^evoray ([a-z]+)|; evoray ([a-z]+)", README, flags=re.MULTILINE))
    words = {word for pair in named for word in pair if word}
    assert words
    assert words <= set(commands.names())


def test_the_readme_names_every_command() -> None:
    from jobs import commands

    assert all(f"evoray {name}" in README for name in commands.names())


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
