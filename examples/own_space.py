"""A search space of your own: small networks that learn two spirals, errors against parameters.

python examples/own_space.py
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import evoray
from objectives.base import Candidate, Goal, MeasurementError, Needs
from objectives.complexity import Cost
from searchspaces.base import Architecture, Choices, Gene, options_of

WIDTHS = (4, 8, 16, 32)
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}


@dataclass(frozen=True)
class Perceptrons:
    """Fully connected networks with 2 inputs and 2 classes: how many hidden layers, how wide all of
    them, and which activation.
    """

    name = "perceptrons"
    published: ClassVar[Mapping[str, Architecture]] = {}
    genes = (
        Gene("depth", (0, 1, 2, 3)),
        Gene("width", WIDTHS),
        Gene("activation", tuple(ACTIVATIONS)),
    )

    def repair(self, choices: Choices) -> Choices:
        """Without a hidden layer neither width nor activation means anything: both are option 0."""
        repaired = np.clip(choices, 0, [3, len(WIDTHS) - 1, 1]).astype(np.int16)
        repaired[repaired[:, 0] == 0] = 0
        return repaired

    def costs(self, choices: Choices) -> Mapping[str, NDArray[np.float64]]:
        """Weights and biases, for a whole population at once."""
        depth = choices[:, 0].astype(np.float64)
        width = np.array(WIDTHS, dtype=np.float64)[choices[:, 1]]
        hidden = 3 * width + (depth - 1) * (width + 1) * width + 2 * (width + 1)
        return {"params": np.where(depth == 0, 6.0, hidden)}

    def build_supernet(self) -> nn.Module:
        """Candidates are trained alone here, so there is nothing to share."""
        return nn.Identity()

    def build_subnet(self, supernet: nn.Module | None, architecture: Architecture) -> nn.Module:
        options = options_of(self, architecture)
        sizes = [2, *[int(options["width"])] * int(options["depth"])]
        activation = ACTIVATIONS[str(options["activation"])]
        torch.manual_seed(0)  # first weights that every worker draws alike
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), activation()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], 2))


class SpiralError:
    """Share of points on the wrong spiral after 200 steps, in percent."""

    name, unit, goal, needs = "wrong", "%", Goal.MINIMIZE, Needs(cpus=1)

    def open(self, device: torch.device) -> None:
        turns = torch.linspace(0.5, 3.0, 200)
        spiral = torch.stack([turns * torch.cos(2 * turns), turns * torch.sin(2 * turns)], dim=1)
        self._points = torch.cat([spiral, -spiral])
        self._classes = torch.arange(2).repeat_interleave(200)

    def measure(self, candidate: Candidate) -> float:
        network = candidate.subnet
        optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
        for _ in range(200):
            loss = nn.functional.cross_entropy(network(self._points), self._classes)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if not torch.isfinite(loss):
            raise MeasurementError(f"the loss of {candidate.architecture.key} is not finite")
        wrong = network(self._points).argmax(dim=1) != self._classes
        return 100.0 * float(wrong.float().mean())


def main() -> None:
    """Searches half of the space and prints the front."""
    space = Perceptrons()
    result = evoray.search(
        space, [SpiralError(), Cost(space, "params")], evaluations=12, population=4
    )
    print(result.front().sort_by("params").select(["key", "wrong", "params"]).to_pandas())
    print("knee:", options_of(space, result.knee()))


if __name__ == "__main__":
    main()
