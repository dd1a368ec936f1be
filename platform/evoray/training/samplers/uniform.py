"""Uniform sampling: every gene of every subnet uniform and independent (Guo et al. 2020, single path one-shot, arXiv:1904.00420)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from evoray import variation
from evoray.seeds import generator_for
from searchspaces.base import Architecture, SearchSpace, architectures


class Uniform:
    """`num_random` subnets a step, at least one."""

    def __init__(self, space: SearchSpace, *, seed: int, num_random: int) -> None:
        self._space = space
        self._seed = seed
        self._num_random = max(1, num_random)
        self._kinds = variation.GeneKinds.of(space.genes)

    def sample(self, step: int) -> Sequence[Architecture]:
        rng = generator_for(self._seed, "uniform", step)
        return architectures(self._space, variation.sample(self._kinds, self._num_random, rng))

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Learns nothing."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """There is no state: a step's subnets depend on the seed and the step alone."""


def build(space: SearchSpace, *, seed: int, num_random: int) -> Uniform:
    return Uniform(space, seed=seed, num_random=num_random)
