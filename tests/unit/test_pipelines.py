"""Shared parts of the pipelines: objectives follow from the task, and options refuse what cannot
be.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from evoray.evaluation.evaluator import LocalEvaluator
from jobs import quickstart
from jobs.pipelines.options import ClusterOptions, DataOptions, RayOptions
from jobs.pipelines.spaces import fitted
from jobs.pipelines.supernet.build import build_setup
from jobs.pipelines.supernet.config import SearchOptions, SupernetSearch
from objectives.iou import IntersectionOverUnion
from searchspaces.base import architectures
from searchspaces.nasaic import UNet

SMALL = UNet(name="small-unet", heights=(1, 2), base_widths=(4, 8), image_size=16)


def build() -> UNet:
    """A space of segmentation networks, found by import path."""
    return SMALL


def segmenting() -> SupernetSearch:
    """The quickstart with other data, space and targets."""
    config = quickstart.digits()
    return dataclasses.replace(
        config,
        space="tests.unit.test_pipelines:build",
        data=DataOptions(name="strokes", limit=64),
        train=dataclasses.replace(config.train, crop_padding=0),
        search=SearchOptions(targets=("iou", "macs"), evaluations=4, population=2),
    )


def test_another_task_needs_other_options_and_no_other_pipeline() -> None:
    setup = build_setup(segmenting())
    assert isinstance(setup.problem.measured[0], IntersectionOverUnion)
    assert setup.problem.targets == ("iou", "macs")
    assert (setup.space.out_channels, setup.space.in_channels) == (2, 1)  # type: ignore[attr-defined]
    evaluator = LocalEvaluator(setup.problem)
    evaluator.submit(architectures(setup.space, np.zeros((1, len(setup.space.genes)), np.int16)))
    (record,) = evaluator.collect(60.0)
    assert 0 <= record.values["iou"] <= 100
    assert record.values["latency"] > 0


def test_a_space_for_another_task_than_the_datas_is_refused() -> None:
    source = build_setup(segmenting()).source
    with pytest.raises(ValueError, match="not for image classification of 'digits'"):
        fitted(SMALL, build_setup(quickstart.digits()).source)
    with pytest.raises(ValueError, match="fields out_channels and in_channels, which are set to"):
        fitted(build_setup(quickstart.digits()).space, source)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (RayOptions, {"train_workers": 0}, r"cluster\.train_workers must be at least 1, got 0"),
        (RayOptions, {"timeout_seconds": 0.0}, r"cluster\.timeout_seconds must be above 0, got"),
        (ClusterOptions, {"train_workers": 0}, r"cluster\.train_workers must be at least 1, got 0"),
        (ClusterOptions, {"min_train_workers": 3}, "must be between 0 and 2, got 3"),
        (DataOptions, {"limit": 0}, r"data\.limit must be at least 1, got 0"),
    ],
)
def test_shared_options_refuse_what_cannot_be(
    kind: type, options: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_workers_are_a_number_or_a_range() -> None:
    assert ClusterOptions(train_workers=4).workers == 4
    assert ClusterOptions(train_workers=4, min_train_workers=1).workers == (1, 4)
