"""CONTRIBUTING's recipes, followed word for word in a copy of the tree: one new file each, found by
its folder and held to its contract.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.documents import ROOT, blocks, run

_PART = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("\n### ")[1:]
RECIPES = {part.partition("\n")[0]: blocks(part.partition("\n## ")[0]) for part in _PART}


def files_of(tree: Path) -> dict[Path, bytes]:
    return {
        file.relative_to(tree): file.read_bytes()
        for file in tree.rglob("*")
        if file.is_file() and not {"__pycache__", ".hypothesis"} & set(file.parts)
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of everything that a recipe may touch or run."""
    copy = tmp_path / "tree"
    for name in ("platform", "searchspaces", "objectives", "jobs", "tests"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_adds_one_file_and_edits_none(recipe: str, tree: Path) -> None:
    before = files_of(tree)
    printed = run(RECIPES[recipe], "run", tree, tree=tree)
    assert " passed" in printed, "its contract tests did not run"
    after = files_of(tree)
    assert len(after.keys() - before.keys()) == 1
    assert all(after[file] == content for file, content in before.items())
