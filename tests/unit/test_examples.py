"""Every program of `examples/`, run as a reader would."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.py"))
PRINTS = {
    "chip_cosearch": "chip.",
    "own_objective": "activations",
    "own_pictures": "accuracy",
    "own_space": "knee: {'depth':",
    "read_a_run": "measured when it went on: 14\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_an_example_runs(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert example.stem in PRINTS, f"say here what {example.name} must print"
    runpy.run_path(str(example), run_name="__main__")
    assert PRINTS[example.stem] in capsys.readouterr().out


@pytest.mark.parametrize("example", EXAMPLES, ids=[file.stem for file in EXAMPLES])
def test_an_example_says_how_to_start_it(example: Path) -> None:
    assert f"\npython examples/{example.name}\n" in example.read_text(encoding="utf-8")
