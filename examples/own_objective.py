"""A measured objective and a cost model of your own: how much memory activations take, and how much
network one gets for it.

python examples/own_objective.py
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import evoray
import searchspaces
from objectives.base import Candidate, Goal, Needs
from searchspaces.base import Choices, SearchSpace


class ActivationMemory:
    """The largest input and output of one layer together, for one image, in kB."""

    name, unit, goal, needs = "activations", "kB", Goal.MINIMIZE, Needs(cpus=1)

    def __init__(self, side: int) -> None:
        self._side = side

    def open(self, device: torch.device) -> None:
        """Nothing to open; data and clocks would be got here, not in the constructor."""
        self._device = device

    def measure(self, candidate: Candidate) -> float:
        largest = 0

        def look(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            nonlocal largest
            numbers = sum(x.numel() for x in inputs) + output.numel()
            largest = max(largest, 4 * numbers)

        network = candidate.subnet.to(self._device).eval()
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(look)
        with torch.inference_mode():
            network(torch.zeros(1, 1, self._side, self._side, device=self._device))
        return largest / 1000


class Capacity:
    """Multiply-accumulates, more of them being better: computed from genes, before anything is
    measured.
    """

    name, unit, goal = "capacity", "MACs", Goal.MAXIMIZE

    def __init__(self, space: SearchSpace) -> None:
        self._space = space

    def evaluate(self, choices: Choices) -> NDArray[np.float64]:
        return np.asarray(self._space.costs(choices)["macs"], dtype=np.float64)


def main() -> None:
    """Searches networks of digits that fit into a small device, and prints the front."""
    space = searchspaces.load("bignas:digits")
    result = evoray.search(
        space,
        [ActivationMemory(side=32), Capacity(space)],
        constraints=[evoray.Constraint("activations", at_most=100.0)],
        searcher="nsga2",
        evaluations=24,
        population=8,
    )
    print(result.front().sort_by("activations").select(["activations", "capacity"]).to_pandas())


if __name__ == "__main__":
    main()
