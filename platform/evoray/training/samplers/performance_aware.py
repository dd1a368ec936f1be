"""Performance-aware sampling: train what is probably good more often (ElasticViT, Tang et al. 2023,
arXiv:2303.09730).

It chooses the random subnets of another sampler: from a memory bank of those that had low losses,
more and more as training goes on, or else fresh ones, of which those are preferred whose costs come
from width and not from depth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evoray.seeds import generator_for
from evoray.training.samplers import Explorer, Horizon, SaysWhoLearns
from evoray.training.samplers.complexity_aware import ComplexityAware
from searchspaces.base import (
    Architecture,
    Choices,
    HasPreferenceGenes,
    SearchSpace,
    architectures,
    smallest,
)

Entry = tuple[tuple[int, ...], float]  # choices and score; the higher, the better

_FIRST_RATE, _RATE_STEP = 0.2, 0.15  # of taking a subnet from the bank
_EPOCHS, _RAMP_EPOCHS = (
    610,
    100,
)  # of the authors' training, and after how many the rate takes a step
_COMPARED = 5  # fresh subnets of which the preferred is trained
_CAPACITIES = (150, 50)  # of the banks of the lower and the upper half of the levels
_LEAST_CAPACITIES = (20, 10)


class PerformanceAware:
    """Wraps an `Explorer`; one bank for each of its levels.

    A fresh subnet's score is minus the loss that it had in its training step. (The released code
    runs it once more, on images that were not mixed.) As losses fall while training goes on, all
    banks are scored anew after as many steps as they have entries: that costs a forward pass a
    step, and in the authors' training is once an epoch, as they do it.

    Attributes:
        banks: Entries (choices, score) of each level.
        last_learns: Passed through from the sampler that it wraps.
    """

    def __init__(
        self,
        inner: Explorer,
        space: SearchSpace,
        *,
        seed: int,
        horizon: Horizon,
        capacities: tuple[int, int] = _CAPACITIES,
        prefer: bool = True,
    ) -> None:
        """
        Args:
            inner: Sampler that offers the random subnets.
            space: Theirs.
            seed: Seeds all choices.
            horizon: Length of the training.
            capacities: Capacities of the banks of the lower and the upper half of the levels.
            prefer: Compares fresh subnets by width and depth.
        """
        if min(capacities) < 1:
            raise ValueError(f"banks need room for at least one subnet, got {capacities}")
        self._inner = inner
        self.last_learns = isinstance(inner, SaysWhoLearns) and inner.last_learns
        self._space = space
        self._seed = seed
        self._horizon = horizon
        self._capacities = capacities
        self._widths, self._depths = preference_genes(space) if prefer else ([], [])
        self._explored: tuple[int, frozenset[str]] = (0, frozenset())
        self._refreshed = 0
        self.banks: list[list[Entry]] = [[] for _ in range(inner.num_levels)]

    def rate(self, step: int) -> float:
        """The probability of taking a subnet from a bank that is more than half full."""
        ramp = self._horizon.epochs * _RAMP_EPOCHS / _EPOCHS
        return min(1.0, _FIRST_RATE + _RATE_STEP * int((self._horizon.epoch(step) + 1) / ramp))

    def capacity(self, level: int) -> int:
        """Number of entries that the bank of a level holds."""
        return self._capacities[0 if level < (self._inner.num_levels + 1) // 2 else 1]

    def sample(self, step: int) -> Sequence[Architecture]:
        rng = generator_for(self._seed, "performance_aware", step)
        level = self._inner.level(step)
        bank, chosen, explored = self.banks[level], [], []
        for _ in range(self._inner.num_random):
            exploit = rng.random() < self.rate(step)
            if exploit and 2 * len(bank) > self.capacity(level):
                row = np.array(
                    bank[_softmax_draw([score for _, score in bank], rng)][0], dtype=np.int16
                )
                chosen.append(architectures(self._space, row)[0])
                continue
            half_full = 2 * len(bank) >= self.capacity(level)
            rows = self._inner.candidates(step, _COMPARED if half_full else 1, rng)
            chosen.append(architectures(self._space, rows[[self._preferred(rows, level)]])[0])
            explored.append(chosen[-1].key)
        self._explored = (level, frozenset(explored))
        return self._inner.arranged(step, chosen)

    def feedback(self, architectures: Sequence[Architecture], losses: Sequence[float]) -> None:
        level, explored = self._explored
        for architecture, loss in zip(architectures, losses, strict=True):
            if architecture.key in explored:
                self._insert(level, (architecture.choices, -float(loss)))
        self._inner.feedback(architectures, losses)

    def refresh(
        self, step: int, losses_of: Callable[[Sequence[Architecture]], Sequence[float]]
    ) -> None:
        entries = [choices for bank in self.banks for choices, _ in bank]
        if not entries or step - self._refreshed < len(entries):
            return
        losses = iter(losses_of(architectures(self._space, np.array(entries, dtype=np.int16))))
        self.banks = [
            [(choices, -float(next(losses))) for choices, _ in bank] for bank in self.banks
        ]
        self._refreshed = step

    def preference(self, rows: Choices, level: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """(n,): the cost with the anchor's widths minus the cost with its depths; the lower, the
        wider and shallower.
        """
        anchor = self._anchor(level)
        narrow, shallow = rows.copy(), rows.copy()
        narrow[:, self._widths] = anchor[self._widths]
        shallow[:, self._depths] = anchor[self._depths]
        cost = self._inner.levels.cost if isinstance(self._inner, ComplexityAware) else "macs"
        swapped = self._space.costs(self._space.repair(np.concatenate([narrow, shallow])))[cost]
        return np.asarray(swapped[: len(rows)] - swapped[len(rows) :])

    def state(self) -> dict[str, Any]:
        level, explored = self._explored
        banks = [[[list(choices), score] for choices, score in bank] for bank in self.banks]
        return {
            "banks": banks,
            "explored": [level, sorted(explored)],
            "refreshed": self._refreshed,
            "inner": self._inner.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.banks = [
            [(tuple(choices), score) for choices, score in bank] for bank in state["banks"]
        ]
        self._explored = (state["explored"][0], frozenset(state["explored"][1]))
        self._refreshed = state["refreshed"]
        self._inner.restore(state["inner"])

    def _preferred(self, rows: Choices, level: int) -> int:
        if len(rows) == 1 or not self._widths or not self._depths:
            return 0
        return int(np.argmin(self.preference(rows, level)))

    def _anchor(self, level: int) -> Choices:
        """The best of the lowest level's bank; the smallest network at that level itself, and while
        the bank is empty.
        """
        if level == 0 or not self.banks[0]:
            return np.array(smallest(self._space).choices, dtype=np.int16)
        return np.array(max(self.banks[0], key=lambda entry: entry[1])[0], dtype=np.int16)

    def _insert(self, level: int, entry: Entry) -> None:
        bank = self.banks[level]
        if len(bank) < self.capacity(level):
            bank.append(entry)
            return
        worst = min(range(len(bank)), key=lambda index: bank[index][1])
        if entry[1] > bank[worst][1]:
            bank[worst] = entry


def preference_genes(space: SearchSpace) -> tuple[list[int], list[int]]:
    """The columns of widths and depths that are compared: those a space names in
    `preference_genes`, or else all.
    """
    names = [gene.name for gene in space.genes]
    named = (
        space.preference_genes
        if isinstance(space, HasPreferenceGenes)
        else (
            [n for n in names if n.endswith(".width")],
            [n for n in names if n.endswith((".depth", ".exists"))],
        )
    )
    widths, depths = ([names.index(name) for name in chosen] for chosen in named)
    return widths, depths


def _softmax_draw(scores: Sequence[float], rng: np.random.Generator) -> int:
    weights = np.exp(np.array(scores) - max(scores))
    return int(rng.choice(len(scores), p=weights / weights.sum()))


def build(space: SearchSpace, *, seed: int, num_random: int, horizon: Horizon) -> PerformanceAware:
    inner = ComplexityAware(space, seed=seed, num_random=num_random)
    # a short training has smaller banks, so that they are full after an eighth of it
    draws = int(horizon.epochs * horizon.steps_per_epoch) * num_random // inner.num_levels
    capacities = [
        min(most, max(least, draws // 8))
        for most, least in zip(_CAPACITIES, _LEAST_CAPACITIES, strict=True)
    ]
    return PerformanceAware(
        inner, space, seed=seed, horizon=horizon, capacities=(capacities[0], capacities[1])
    )
