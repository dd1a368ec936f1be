"""Multi-architectural sampling: the images of one batch are divided among several subnets
(ViT-ResNAS, arXiv:2109.00642).

Subnets of a step differ in every gene while there are options enough, and options open from large
to small over a warm-up. Every step draws with a generator of its own: the released code restores
the generator's state after each forward, so that a step may repeat the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from evoray.seeds import generator_for
from evoray.training.samplers import Horizon
from searchspaces.base import Architecture, Gene, SearchSpace, architectures

_WARMUP_SHARE = 30 / 120  # of the authors' epochs


class MultiArchitecture:
    """`num_random` subnets a step, at least one, that share its images.

    Attributes:
        together: Tells the training loop to run the subnets of a step in one forward and backward.
    """

    together = True

    def __init__(self, space: SearchSpace, *, seed: int, num_random: int, horizon: Horizon) -> None:
        self._space = space
        self._seed = seed
        self._num_random = max(1, num_random)
        self._horizon = horizon
        self._options = [options_large_to_small(gene) for gene in space.genes]

    def num_open(self, gene: int, step: int) -> int:
        """Number of a gene's options, from the largest on, that are in use."""
        count = len(self._options[gene])
        warmup = self._horizon.epochs * _WARMUP_SHARE
        return min(1 + int(self._horizon.epoch(step) * (count - 1) / warmup), count)

    def sample(self, step: int) -> Sequence[Architecture]:
        rng = generator_for(self._seed, "multi_architecture", step)
        rows = np.zeros((self._num_random, len(self._options)), dtype=np.int16)
        for gene, options in enumerate(self._options):
            opened = self.num_open(gene, step)
            bank = np.tile(options[:opened], -(-self._num_random // opened))
            rows[:, gene] = rng.permutation(bank)[: self._num_random]
        return architectures(self._space, rows)

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        """Learns nothing."""

    def state(self) -> dict[str, Any]:
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores nothing: a step's subnets depend on the seed and the step alone."""


def options_large_to_small(gene: Gene) -> np.ndarray[Any, np.dtype[np.int16]]:
    """Option indices in the order in which they open.

    A block that may be missing counts twice as present and twice as missing, so that it stays in
    all subnets for half of the warm-up.
    """
    largest_first = np.arange(len(gene.options), dtype=np.int16)[::-1]
    return np.repeat(largest_first, 2) if gene.name.endswith(".exists") else largest_first


def build(space: SearchSpace, *, seed: int, num_random: int, horizon: Horizon) -> MultiArchitecture:
    return MultiArchitecture(space, seed=seed, num_random=num_random, horizon=horizon)
