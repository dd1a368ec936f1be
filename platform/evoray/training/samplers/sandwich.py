"""The sandwich rule: largest, random, smallest in every step (Yu and Huang 2019, arXiv:1903.05134;
BigNAS, arXiv:2003.11142).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evoray import variation
from evoray.seeds import generator_for
from evoray.training.samplers import Horizon
from searchspaces.base import Architecture, Choices, SearchSpace, architectures, largest, smallest


class Sandwich:
    """The largest subnet first, so that it can teach; then `num_random` uniform ones; the smallest
    last.
    """

    def __init__(self, space: SearchSpace, *, seed: int, num_random: int) -> None:
        if num_random < 0:
            raise ValueError(f"the sandwich rule needs num_random of at least 0, got {num_random}")
        self._space = space
        self._seed = seed
        self._num_random = num_random
        self._kinds = variation.GeneKinds.of(space.genes)
        self._biggest, self._smallest = largest(space), smallest(space)

    def sample(self, step: int) -> Sequence[Architecture]:
        rng = generator_for(self._seed, "sandwich", step)
        between = (
            architectures(self._space, self.candidates(step, self._num_random, rng))
            if self._num_random
            else []
        )
        return self.arranged(step, between)

    @property
    def num_random(self) -> int:
        return self._num_random

    @property
    def num_levels(self) -> int:
        return 1

    def level(self, step: int) -> int:
        return 0

    def candidates(self, step: int, count: int, rng: np.random.Generator) -> Choices:
        return self._space.repair(variation.sample(self._kinds, count, rng))

    def arranged(self, step: int, chosen: Sequence[Architecture]) -> Sequence[Architecture]:
        return [self._biggest, *chosen, self._smallest]

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Learns nothing."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores nothing: a step's subnets depend on the seed and the step alone."""


def build(space: SearchSpace, *, seed: int, num_random: int, horizon: Horizon) -> Sandwich:
    return Sandwich(space, seed=seed, num_random=num_random)
