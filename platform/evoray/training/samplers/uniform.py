"""Uniform sampling: every gene of every subnet uniform and independent (Guo et al. 2020, single
path one-shot, arXiv:1904.00420).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evoray import variation
from evoray.seeds import generator_for
from evoray.training.samplers import Horizon
from searchspaces.base import Architecture, Choices, SearchSpace, architectures


class Uniform:
    """`num_random` subnets a step, at least one."""

    def __init__(self, space: SearchSpace, *, seed: int, num_random: int) -> None:
        self._space = space
        self._seed = seed
        self._num_random = max(1, num_random)
        self._kinds = variation.GeneKinds.of(space.genes)

    def sample(self, step: int) -> Sequence[Architecture]:
        rng = generator_for(self._seed, "uniform", step)
        return architectures(self._space, self.candidates(step, self._num_random, rng))

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
        return chosen

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Learns nothing."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores nothing: a step's subnets depend on the seed and the step alone."""


def build(space: SearchSpace, *, seed: int, num_random: int, horizon: Horizon) -> Uniform:
    return Uniform(space, seed=seed, num_random=num_random)
