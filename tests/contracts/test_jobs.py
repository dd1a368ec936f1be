"""Contracts that every job keeps, found by listing `jobs/`."""

from __future__ import annotations

from pathlib import Path

import pytest

import jobs
from evoray.records.run_folder import RunFolder

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
    pipeline, config = jobs.pipeline(job), jobs.load(job).PRESETS[preset]()
    assert type(config) is pipeline.config_type
    setup = pipeline.build_setup(config)
    for source in setup.sources:
        assert len(source.open("train"))
    folder = RunFolder.create(tmp_path / "run", pipeline.job_of(job, preset, config, setup))
    assert pipeline.config_of(folder) == config
    targets = [value for value in folder.job().get("values", ()) if value["target"]]
    assert targets or folder.job()["stages"], "nothing says what is searched"
