"""Values of the objectives, on networks and data whose answers are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

import searchspaces
from evoray import data
from evoray.training.recipe.calibration import Calibration, _batches
from objectives.accuracy import Accuracy
from objectives.base import Candidate
from objectives.complexity import Cost
from objectives.latency import Latency
from searchspaces.base import architectures, largest, smallest

SPACE: Any = searchspaces.load("bignas:digits")
SOURCE = data.load("digits", limit=100)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Given:
    """A space of one hand-made network."""

    network: nn.Module

    def build_subnet(self, supernet: object, architecture: object) -> nn.Module:
        return self.network


class Fixed:
    """Four images whose first pixel is their class, twice right by `Echo`."""

    name, num_classes, image_shape = "fixed", 2, (1, 1, 2)

    def open(self, split: str) -> Any:
        return self

    def __len__(self) -> int:
        return 4

    @property
    def labels(self) -> torch.Tensor:
        return torch.tensor([0, 1, 1, 0])

    def images(self, indices: Any) -> torch.Tensor:
        return torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])[indices].view(
            -1, 1, 1, 2
        )


def test_accuracy_is_the_share_of_right_answers() -> None:
    objective = Accuracy(Fixed(), None, batch_size=3)  # type: ignore[arg-type]
    objective.open(CPU)
    assert objective.measure(Candidate(Given(nn.Flatten()), smallest(SPACE))) == 75.0  # type: ignore[arg-type]


def test_recalibration_touches_the_candidates_own_copy_only() -> None:
    supernet = SPACE.build_supernet()
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    objective = Accuracy(SOURCE, Calibration(source=SOURCE, num_images=64), limit=100)
    objective.open(CPU)
    candidate = Candidate(SPACE, smallest(SPACE), supernet)
    objective.measure(candidate)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    norms = [m for m in candidate.subnet.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(
        float(norm.running_var.sub(1).abs().max()) > 1e-4
        for norm in norms
        if norm.running_var is not None
    )


def test_calibrated_statistics_are_the_plain_average_over_the_batches() -> None:
    calibration = Calibration(source=SOURCE, num_images=64, batch_size=32)
    network = nn.Sequential(nn.BatchNorm2d(1))
    weight = network[0].weight.clone()  # type: ignore[union-attr,operator]
    calibration(network, CPU)
    batches = _batches(calibration, CPU)
    assert len(batches) == 2
    mean = torch.stack([x.mean() for x in batches]).mean()
    variance = torch.stack([x.var(unbiased=True) for x in batches]).mean()
    norm = network[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert torch.allclose(norm.running_mean, mean, atol=1e-6)
    assert torch.allclose(norm.running_var, variance, rtol=1e-5)
    assert torch.equal(norm.weight, weight)
    assert norm.momentum == 0.1
    assert not network.training


def test_a_much_bigger_network_takes_longer_and_threads_are_put_back() -> None:
    objective = Latency(SOURCE.image_shape, batch_size=8)
    objective.open(CPU)
    torch.set_num_threads(2)
    times = [
        objective.measure(Candidate(SPACE, a, None)) for a in (smallest(SPACE), largest(SPACE))
    ]
    assert times[0] < times[1]
    assert torch.get_num_threads() == 2


def test_a_latency_of_a_device_is_its_own_column_and_needs_that_machine() -> None:
    objective = Latency((3, 8, 8), device="pixel6", threads=2)
    assert objective.name == "latency@pixel6"
    assert (objective.needs.label, objective.needs.cpus) == ("pixel6", 2.0)
    assert Latency((3, 8, 8)).name == "latency"


def test_costs_are_the_spaces_own_and_unknown_ones_are_named() -> None:
    import numpy as np

    row = np.array(
        [architectures(SPACE, np.zeros((1, len(SPACE.genes)), dtype=np.int16))[0].choices],
        dtype=np.int16,
    )
    assert Cost(SPACE, "macs").evaluate(row)[0] == SPACE.costs(row)["macs"][0]
    assert Cost(SPACE, "params").unit == "parameters"
    with pytest.raises(ValueError, match="has no cost 'mac'; did you mean 'macs'"):
        Cost(SPACE, "mac")


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"limit": 0}])
def test_impossible_accuracies_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Accuracy(SOURCE, None, **wrong)  # type: ignore[arg-type]
