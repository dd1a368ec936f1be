"""Complexity-aware sampling: all subnets of a step share one complexity level (ElasticViT, Tang et
al. 2023, arXiv:2303.09730).

Tiny and huge subnets in neighbouring steps pull shared weights apart. Here a step's random subnets
cost about the same, the level moves by at most one rung a step, and the smallest subnet of the
sandwich is the level's own; the largest is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evoray.seeds import generator_for
from evoray.training.samplers import Horizon
from evoray.training.samplers.parts.complexity_levels import (
    ComplexityLevelDraws,
    ComplexityLevelWalk,
    levels_of,
)
from searchspaces.base import Architecture, Choices, ComplexityLevels, SearchSpace, architectures


class ComplexityAware:
    """`num_random` subnets of the step's level, at least one, then the level's floor.

    The released code moves the level once more where an epoch begins; this does not, so that it
    never jumps two rungs.

    Attributes:
        last_learns: Tells the training loop that the level's floor learns from the others.
    """

    last_learns = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        num_random: int,
        levels: ComplexityLevels | None = None,
    ) -> None:
        """`levels` are by default the space's own, or derived from its costs where it has none."""
        self._space = space
        self._seed = seed
        self._num_random = max(1, num_random)
        self._drawer = ComplexityLevelDraws(space, levels or levels_of(space))
        self._walk = ComplexityLevelWalk(self.num_levels, seed)

    @property
    def levels(self) -> ComplexityLevels:
        """The levels in use."""
        return self._drawer.levels

    @property
    def num_random(self) -> int:
        return self._num_random

    @property
    def num_levels(self) -> int:
        return len(self.levels.starts)

    def level(self, step: int) -> int:
        return self._walk.at(step)

    def candidates(self, step: int, count: int, rng: np.random.Generator) -> Choices:
        return self._drawer.draw(self.level(step), count, rng)

    def arranged(self, step: int, chosen: Sequence[Architecture]) -> Sequence[Architecture]:
        return [*chosen, self.levels.floors[self.level(step)]]

    def sample(self, step: int) -> Sequence[Architecture]:
        rng = generator_for(self._seed, "complexity_aware", step)
        return self.arranged(
            step, architectures(self._space, self.candidates(step, self._num_random, rng))
        )

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Learns nothing."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores nothing: a step's subnets depend on the seed and the step alone."""


def build(space: SearchSpace, *, seed: int, num_random: int, horizon: Horizon) -> ComplexityAware:
    return ComplexityAware(space, seed=seed, num_random=num_random)
