"""README and docs: what they show runs as it stands there, what they name and link to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jobs import commands
from tests.documents import ROOT, Block, blocks, run

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
OWN = ROOT / "docs" / "own.md"


def shown(page: Path) -> list[Block]:
    return blocks(page.read_text(encoding="utf-8"))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def with_mark(mark: str) -> list[Path]:
    """Pages whose blocks are run here; the walk-through and CONTRIBUTING have tests of their
    own.
    """
    return [
        page
        for page in PAGES
        if mark in {block.mark for block in shown(page)}
        and page not in (OWN, ROOT / "CONTRIBUTING.md")
    ]


@pytest.mark.slow
@pytest.mark.parametrize("page", with_mark("run"), ids=name_of)
def test_what_a_page_shows_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    assert run(shown(page), "run", tmp_path).strip()


@pytest.mark.ray
@pytest.mark.slow
def test_the_first_run_goes_as_getting_started_shows_it(tmp_path: Path) -> None:
    run(shown(ROOT / "docs" / "getting_started.md"), "run with ray", tmp_path)
    first = tmp_path / "runs" / "first"
    assert (first / "report.html").is_file()
    assert list((first / "export").glob("**/*.safetensors"))


@pytest.mark.slow
def test_the_walk_through_runs_and_goes_on_where_it_was(tmp_path: Path) -> None:
    printed = run(shown(OWN), "run", tmp_path)
    assert "knee: Architecture(space='mlp'" in printed
    assert run(shown(OWN), "run", tmp_path) == printed


@pytest.mark.parametrize("name", ["README.md", "docs/getting_started.md", "docs/own.md"])
def test_every_program_of_the_first_pages_is_run(name: str) -> None:
    programs = [block for block in shown(ROOT / name) if block.language == "python"]
    assert programs
    assert all(block.mark for block in programs)


def test_the_readme_stays_short() -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 200


def shown_commands(page: Path) -> set[str]:
    """Words after `evoray` at the beginning of a shell line, or after a semicolon."""
    text = "\n".join(block.text for block in shown(page) if block.language == "sh")
    return set(re.findall(r"(?:^|; )evoray ([a-z]+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_a_page_shows_exists(page: Path) -> None:
    assert shown_commands(page) <= set(commands.names())


def test_one_page_shows_every_command() -> None:
    assert shown_commands(ROOT / "docs" / "command_line.md") == set(commands.names())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing
