"""The objective contract, for every file of objectives/."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pytest
import torch

import objectives
import searchspaces
from evoray import data
from evoray.training.calibration import Calibration
from objectives.base import Candidate, Goal, MeasurementError, Needs
from searchspaces.base import biggest, smallest

SPACE: Any = searchspaces.load("bignas:digits")
SOURCE = data.load("digits", limit=100)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "accuracy": (SOURCE, Calibration(source=SOURCE, num_images=64, batch_size=32)),
    "latency": (SOURCE.image_shape,),
    "complexity": (SPACE,),
    "asic": (SPACE,),
}


@pytest.fixture(params=objectives.names())
def objective(request: pytest.FixtureRequest) -> Any:
    assert request.param in ARGUMENTS, f"say here how objectives/{request.param}.py is built for its contract tests"
    return objectives.load(request.param).build(*ARGUMENTS[request.param])


def test_it_says_what_it_is(objective: Any) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*(@\w+)?", objective.name)
    assert isinstance(objective.unit, str)
    assert isinstance(objective.goal, Goal)
    assert hasattr(objective, "measure") != hasattr(objective, "evaluate")


def test_it_travels_before_it_is_opened(objective: Any) -> None:
    copy = pickle.loads(pickle.dumps(objective))
    assert copy.name == objective.name


def test_the_same_candidate_has_the_same_value(objective: Any) -> None:
    if hasattr(objective, "evaluate"):
        rows = np.array([smallest(SPACE).choices, biggest(SPACE).choices], dtype=np.int16)
        values = objective.evaluate(rows)
        assert values.shape == (2,)
        assert np.isfinite(values).all()
        assert (objective.evaluate(rows[::-1]) == values[::-1]).all()
        return
    assert isinstance(objective.needs, Needs)
    objective.open(torch.device("cpu"))
    supernet = SPACE.build_supernet()
    first, second = (objective.measure(Candidate(SPACE, smallest(SPACE), supernet)) for _ in range(2))
    assert np.isfinite(first)
    if objective.name == "latency":
        assert max(first, second) <= 10 * objective.tolerance * min(first, second)  # ten times: the machine that runs tests is not quiet
    else:
        assert abs(first - second) <= objective.tolerance


def test_opened_twice_is_opened_once(objective: Any) -> None:
    if not hasattr(objective, "open"):
        return
    objective.open(torch.device("cpu"))
    held = dict(vars(objective))
    objective.open(torch.device("cpu"))
    assert all(vars(objective)[name] is value for name, value in held.items())


def test_measuring_before_opening_is_a_programs_mistake(objective: Any) -> None:
    if hasattr(objective, "measure"):
        with pytest.raises(RuntimeError, match=r"call open\(device\) first"):
            objective.measure(Candidate(SPACE, smallest(SPACE), None))


def test_a_network_that_computes_nan_is_a_failed_measurement(objective: Any) -> None:
    if not hasattr(objective, "measure"):
        return
    objective.open(torch.device("cpu"))
    supernet = SPACE.build_supernet()
    with torch.no_grad():
        supernet.classifier.bias.fill_(float("nan"))
    with pytest.raises(MeasurementError, match=smallest(SPACE).key):
        objective.measure(Candidate(SPACE, smallest(SPACE), supernet))


def test_an_unknown_objective_is_named_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'latency'"):
        objectives.load("latencey")
