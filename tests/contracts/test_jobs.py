"""What every job keeps to, found by listing `jobs/`."""

from __future__ import annotations

from pathlib import Path

import pytest

import jobs
from jobs.pipelines.supernet.build import build_setup
from jobs.pipelines.supernet.config import SupernetSearch

ALL = [(job, preset) for job in jobs.names() for preset in jobs.load(job).PRESETS]


@pytest.mark.parametrize(("job", "preset"), ALL)
def test_a_preset_says_what_it_is_and_is_made_anew_each_time(job: str, preset: str) -> None:
    make = jobs.load(job).PRESETS[preset]
    assert make.__doc__
    assert make() == make()
    assert make() is not make()


@pytest.mark.parametrize("job", jobs.names())
def test_the_module_says_how_to_start_it_and_which_paper_it_follows(job: str) -> None:
    text = jobs.load(job).__doc__ or ""
    assert f"evoray run {job}" in text
    assert callable(jobs.load(job).main)


@pytest.mark.parametrize(
    ("job", "preset"), [(job, preset) for job, preset in ALL if preset == "digits"]
)
def test_a_search_on_the_embedded_digits_fits_together(
    job: str, preset: str, tmp_path: Path
) -> None:
    config = jobs.load(job).PRESETS[preset]()
    if not isinstance(config, SupernetSearch):
        pytest.skip(f"{job} composes its search in its own way")
    setup = build_setup(config)
    assert set(config.search.targets) <= set(setup.problem.value_names)
