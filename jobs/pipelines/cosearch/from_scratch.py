"""An objective on networks that are trained alone, from scratch, instead of inheriting a supernet's
weights: dear, and NASAIC's own way.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from evoray.seeds import seed_for
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import train_network
from evoray.training.recipe.teachers import Teacher
from objectives.base import Candidate, Goal, LabelledSource, Needs, Objective


class TrainedFromScratch:
    """Trains the candidate's network by the supernet's recipe with hard labels, then measures it.
    The seed and the network decide.

    Attributes:
        tolerance: Difference that two measurements of one candidate may have.
    """

    tolerance = 0.0

    def __init__(
        self,
        inner: Objective,
        source: LabelledSource,
        recipe: TrainConfig,
        seed: int,
        teachers: Sequence[Teacher] = (),
    ) -> None:
        self._inner = inner
        self._source = source
        self._recipe = recipe
        self._seed = seed
        self._teachers = tuple(teachers)
        self._device = torch.device("cpu")

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def unit(self) -> str:
        return self._inner.unit

    @property
    def goal(self) -> Goal:
        return self._inner.goal

    @property
    def needs(self) -> Needs:
        return self._inner.needs

    def open(self, device: torch.device) -> None:
        self._inner.open(device)
        self._device = device

    def measure(self, candidate: Candidate) -> float:
        """Trains the candidate's network alone, then measures the objective on it.

        Raises:
            MeasurementError: The objective raised it.
        """
        seed = seed_for(self._seed, "alone", candidate.architecture.key)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = (
                candidate.subnet
            )  # without a supernet its weights are fresh; the objective measures this very network
        taught = [teacher.load() for teacher in self._teachers]
        train_network(
            network,
            tasks.of(self._source, self._recipe),
            self._recipe,
            seed=seed,
            device=self._device,
            teachers=taught,
        )
        return self._inner.measure(candidate)
