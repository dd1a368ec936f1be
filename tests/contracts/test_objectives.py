"""The objective contract, for every file of objectives/."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import objectives
import searchspaces
from evoray import data
from evoray.evaluation.worker import EvaluationWorker, weights_of
from evoray.problem.contracts import check_objective
from evoray.training.gan.calibration import LatentCalibration
from evoray.training.recipe.calibration import Calibration
from objectives.base import Candidate, Goal, MeasurementError, Needs, values_of
from objectives.inception.extractors import Features
from objectives.iou import IntersectionOverUnion
from objectives.latency_table import LatencyTable
from objectives.latency_table.table import Smooth
from searchspaces.base import largest, smallest

CLASSIFIERS: Any = searchspaces.load("bignas:digits")
GENERATORS: Any = searchspaces.load("eagan:generator-digits")
SOURCE = data.load("digits", limit=100)
SMALL = data.load("digits", image_size=16, limit=100)
TASKS: Any = searchspaces.load("nasaic:digits")
STROKES = data.load("strokes", limit=100)
SEGMENTERS = dataclasses.replace(TASKS.networks["strokes"], out_channels=2)
DETECTORS: Any = searchspaces.load("nask_v2:small")
TEXT = data.load("text", image_size=64, limit=40)
SPACES = {
    "inception": GENERATORS,
    "iou": SEGMENTERS,
    "tasks": TASKS,
    "detection": DETECTORS,
    "detection_latency": DETECTORS,
}  # whose candidates an objective measures; classifiers for the others


class Echo:
    """An extractor without weights: a few pixels are the features, others the logits."""

    label, digest, num_features, num_classes = "digits-cnn", "echo", 8, 5

    def open(self, device: torch.device) -> None:
        """Opens nothing."""

    def extract(self, pixels_bchw: torch.Tensor) -> Features:
        flat = pixels_bchw.flatten(1).float() / 255.0
        return Features(flat[:, 100:108], flat[:, 120:125])


def table_file() -> Path:
    """A latency table whose every prediction is the same."""
    width = len(CLASSIFIERS.genes) + len(
        CLASSIFIERS.costs(np.array([smallest(CLASSIFIERS).choices], dtype=np.int16))
    )
    smooth = Smooth(np.zeros((1, width)), np.zeros(1), np.ones(width), 0.5)
    path = Path(tempfile.mkdtemp()) / "table.parquet"
    LatencyTable(CLASSIFIERS.name, "phone", {}, smooth, {}, {}).save(path)
    return path


OFFERED: dict[str, Any] = {  # what jobs hand over, by name
    "space": CLASSIFIERS,
    "source": SOURCE,
    "recalibrate": Calibration(source=SOURCE, num_images=64, batch_size=32),
    "input_shape": SOURCE.image_shape,
    "seed": 0,
}
ARGUMENTS: dict[str, tuple[Any, ...]] = {  # of those that want something else
    "iou": (STROKES, Calibration(source=STROKES, num_images=64, batch_size=32)),
    "tasks": (TASKS, "strokes", IntersectionOverUnion(STROKES, None)),
    "latency_table": (CLASSIFIERS, table_file()),
    "detection": (TEXT, Calibration(source=TEXT, num_images=8, batch_size=4)),
    "detection_latency": ((3, 64, 64),),
    "inception": (
        SMALL,
        Echo(),
        GENERATORS.latent,
        LatentCalibration(latent=GENERATORS.latent, num_images=64, batch_size=32),
    ),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "inception": {"num_images": 64},
    "detection": {"limit": 6, "space": DETECTORS},
}


@pytest.fixture(params=objectives.names())
def objective(request: pytest.FixtureRequest) -> Any:
    if request.param not in ARGUMENTS:
        return objectives.build(request.param, OFFERED)
    arguments = copy.deepcopy(
        ARGUMENTS[request.param]
    )  # one of them may be an objective, which a test opens
    return objectives.load(request.param).build(*arguments, **OPTIONS.get(request.param, {}))


@pytest.fixture
def space(request: pytest.FixtureRequest) -> Any:
    return SPACES.get(request.node.callspec.params["objective"], CLASSIFIERS)


def test_it_says_what_it_is(objective: Any) -> None:
    for value in (objective, *values_of(objective)):
        assert re.fullmatch(r"[a-z][a-z0-9_]*(@[\w-]+)?", value.name)
    for value in values_of(objective):
        assert isinstance(value.unit, str)
        assert isinstance(value.goal, Goal)
    check_objective(objective)
    assert hasattr(objective, "measure") != hasattr(objective, "evaluate")


def test_it_travels_before_it_is_opened(objective: Any) -> None:
    copy = pickle.loads(pickle.dumps(objective))
    assert copy.name == objective.name


def test_the_same_candidate_has_the_same_value(objective: Any, space: Any) -> None:
    if hasattr(objective, "evaluate"):
        rows = np.array([smallest(space).choices, largest(space).choices], dtype=np.int16)
        values = objective.evaluate(rows)
        assert values.shape == (2,)
        assert np.isfinite(values).all()
        assert (objective.evaluate(rows[::-1]) == values[::-1]).all()
        return
    assert isinstance(objective.needs, Needs)
    objective.open(torch.device("cpu"))
    supernet = space.build_supernet()
    worker = EvaluationWorker(space, objective, weights_of(supernet))
    readings = [worker.measure(smallest(space)) for _ in range(2)]
    assert [reading.error for reading in readings] == ["", ""]
    for first, second in zip(*(reading.values for reading in readings), strict=True):
        if "latency" in objective.name:
            assert max(first, second) <= 10 * objective.tolerance * min(
                first, second
            )  # ten times: the machine that runs tests is not quiet
        else:
            assert abs(first - second) <= objective.tolerance


def test_opened_twice_is_opened_once(objective: Any) -> None:
    if not hasattr(objective, "open"):
        return
    objective.open(torch.device("cpu"))
    held = dict(vars(objective))
    objective.open(torch.device("cpu"))
    assert all(vars(objective)[name] is value for name, value in held.items())


def test_measuring_before_opening_is_a_programs_mistake(objective: Any, space: Any) -> None:
    if hasattr(objective, "measure"):
        with pytest.raises(RuntimeError, match=r"call open\(device\) first"):
            objective.measure(Candidate(space, smallest(space), None))


def test_a_network_that_computes_nan_is_a_failed_measurement(objective: Any, space: Any) -> None:
    if not hasattr(objective, "measure"):
        return
    objective.open(torch.device("cpu"))
    supernet = space.build_supernet()
    with torch.no_grad():
        list(supernet.parameters())[-1].fill_(float("nan"))  # of the last layer
    with pytest.raises(MeasurementError, match=smallest(space).key):
        objective.measure(Candidate(space, smallest(space), supernet))


def test_an_unknown_objective_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'latency'"):
        objectives.load("latencey")
