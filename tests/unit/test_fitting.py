"""Actors of several objectives find room beside each other on a machine that never grows."""

from __future__ import annotations

import logging

import pytest

pytest.importorskip("ray")

from evoray.distributed.evaluation.evaluator import fitting
from objectives.base import Needs


def test_actors_that_fit_keep_their_needs(caplog: pytest.LogCaptureFixture) -> None:
    needs = {"accuracy": Needs(cpus=1), "latency": Needs(cpus=1)}
    assert fitting(needs, {"accuracy": 1, "latency": 1}, {"CPU": 2.0}) == needs
    assert not caplog.records


@pytest.mark.parametrize(
    ("workers", "cores"), [((1, 1, 1), 2), ((2, 1, 1), 2), ((1, 1, 1), 1), ((5, 3, 1), 4)]
)
def test_actors_that_do_not_fit_share_what_there_is_and_that_is_said(
    workers: tuple[int, ...], cores: int, caplog: pytest.LogCaptureFixture
) -> None:
    needs = {"accuracy": Needs(cpus=1, gpus=1), "latency": Needs(cpus=2), "own": Needs(cpus=0.5)}
    counts = dict(zip(needs, workers, strict=True))
    with caplog.at_level(logging.WARNING):
        fitted = fitting(needs, counts, {"CPU": float(cores), "GPU": 1.0})
    assert sum(fitted[name].cpus * counts[name] for name in needs) <= cores
    assert sum(fitted[name].gpus * counts[name] for name in needs) <= 1
    assert all(need.cpus > 0 for need in fitted.values())
    assert fitted["latency"].cpus / fitted["own"].cpus == pytest.approx(4, rel=1e-2)
    assert f"this machine has {cores}" in caplog.text


def test_what_the_machine_lacks_altogether_is_left_to_those_who_refuse_it() -> None:
    needs = {"accuracy": Needs(gpus=1)}
    assert fitting(needs, {"accuracy": 1}, {"CPU": 2.0}) == needs
