"""Small runs of the presets do what they always did: digests of losses, weights, records and front.

The file of digests is of one processor and one version of torch; `evoray bench identity --write
tests/golden/small_runs.json` makes it anew, for a change that is meant to change results.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.identity import RUNS, machine, run_small

GOLDEN = json.loads(
    Path(__file__).parents[1].joinpath("golden", "small_runs.json").read_text(encoding="utf-8")
)


def test_there_are_digests_of_every_run() -> None:
    assert GOLDEN["digests"].keys() == RUNS.keys()


@pytest.mark.ray
@pytest.mark.slow
def test_a_small_run_is_what_it_was(tmp_path: Path) -> None:
    """One system stands for all; `evoray bench identity --against` compares every one."""
    if GOLDEN["machine"] != machine():
        pytest.skip(f"the digests are of {GOLDEN['machine']}, this is {machine()}")
    assert run_small("quickstart", tmp_path / "run") == GOLDEN["digests"]["quickstart"]
