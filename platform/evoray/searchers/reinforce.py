"""NASAIC's controller (Yang et al. 2020, arXiv:2002.04116): a recurrent network that samples
designs, taught by REINFORCE (Williams 1992).

The rules are the paper's as far as they are known; sizes and rates are this project's. Constraints
on costs are its design specs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from evoray import variation
from evoray.problem.problem import Problem
from evoray.searchers.base import Lineage
from evoray.searchers.parts.replayed import Replayed
from evoray.seeds import generator_for, seed_for
from searchspaces.base import Choices, Gene, key_array, largest

_BATCHES = 40  # of episodes in one ask, before the controller counts as having nothing new to say
_BOUND_SAMPLES = 1000
_FALLBACK_ROUNDS = 200

# e episodes, p = 1 + phi steps an episode, g genes, h hidden units, o options


class Controller(nn.Module):
    """An LSTM that chooses one gene after the other, each seeing what was chosen before."""

    def __init__(self, counts: Sequence[int], hidden: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.empty(hidden).uniform_(-0.1, 0.1))
        self.cell = nn.LSTMCell(hidden, hidden)
        self.embeddings = nn.ModuleList(nn.Embedding(count, hidden) for count in counts)
        self.heads = nn.ModuleList(nn.Linear(hidden, count) for count in counts)
        for module in (
            *self.cell.parameters(),
            *(p for m in (*self.embeddings, *self.heads) for p in m.parameters()),
        ):
            nn.init.uniform_(module, -0.1, 0.1)

    def forward(self, choices_ng: Tensor) -> tuple[Tensor, Tensor]:
        """(n, g) choices made -> (n, g) log-probabilities of them, and (n, g) entropies of what
        could have been chosen.
        """
        state, x = None, self.start.expand(len(choices_ng), -1)
        logs, entropies = [], []
        for gene, (embedding, head) in enumerate(zip(self.embeddings, self.heads, strict=True)):
            state = self.cell(x, state)
            log_no = head(state[0]).log_softmax(dim=1)
            chosen_n = choices_ng[:, gene]
            logs.append(log_no.gather(1, chosen_n[:, None])[:, 0])
            entropies.append(-(log_no.exp() * log_no).sum(dim=1))
            x = embedding(chosen_n)
        return torch.stack(logs, dim=1), torch.stack(entropies, dim=1)

    @torch.no_grad()
    def sample(
        self, count: int, given_ng: Tensor, free_g: NDArray[np.bool_], rng: np.random.Generator
    ) -> Tensor:
        """(n, g) choices: genes that are not free keep what is `given_ng`."""
        state, x, chosen = None, self.start.expand(count, -1), given_ng.clone()
        for gene, (embedding, head) in enumerate(zip(self.embeddings, self.heads, strict=True)):
            state = self.cell(x, state)
            if free_g[gene]:
                cumulated_no = head(state[0]).double().softmax(dim=1).cumsum(dim=1).numpy()
                drawn = (rng.random((count, 1)) * cumulated_no[:, -1:] >= cumulated_no).sum(axis=1)
                chosen[:, gene] = torch.from_numpy(np.minimum(drawn, cumulated_no.shape[1] - 1))
            x = embedding(chosen[:, gene])
        return chosen


@dataclass(eq=False)
class _Batch:
    """Episodes whose rewards are not all known yet.

    Attributes:
        choices: (e, p, g) as the controller chose them.
        keys: (e, p) of the repaired rows.
        penalties: (e, p).
        quality: (e,) of each episode's networks, NaN while it is not known; 0 where none of its
            chips meets the specs.
    """

    choices: Choices
    keys: NDArray[np.bytes_]
    penalties: NDArray[np.float64]
    quality: NDArray[np.float64]


class Reinforce(Replayed):
    """Episodes of one step that samples every gene and `phi` steps that sample the hardware again
    under the same networks.

    Reward = quality - rho * penalty. The penalty of a constraint on a cost is the excess over the
    bound that the cost reaches in 1,000 samples around the largest architecture, relative to that
    bound's own excess; a constraint that none of them breaks has none. Rows that keep the
    constraints are asked for, once each; an episode without one ends with its penalty alone, and
    nothing of it is measured. All steps of an episode share the quality of its networks, the mean
    of the targets that are not constrained costs, percentages as shares. When a batch of episodes
    is known, the controller takes one step of policy gradient against an exponential moving average
    of rewards.

    A controller that only repeats itself is helped out with uniform samples, so that it can be
    compared at equal evaluations.

    Attributes:
        num_infeasible: Episodes that ended with their penalty alone.
    """

    num_infeasible: int

    def __init__(
        self,
        problem: Problem,
        *,
        seed: int,
        phi: int,
        hardware: str,
        batch: int,
        rho: float,
        hidden: int,
        learning_rate: float,
        decay: float,
        entropy: float,
    ) -> None:
        if (
            phi < 0
            or batch < 1
            or hidden < 1
            or not learning_rate > 0
            or not 0 <= decay < 1
            or rho < 0
            or entropy < 0
        ):
            raise ValueError(
                "reinforce needs phi, rho and entropy of at least 0, batch and hidden of at least "
                "1, a learning rate above 0 and a decay "
                f"in [0, 1), got {phi}, {rho}, {entropy}, {batch}, {hidden}, {learning_rate} and "
                f"{decay}"
            )
        super().__init__(problem)
        self._seed = seed
        self._kinds = variation.GeneKinds.of(problem.space.genes)
        self._is_hardware = np.array([_belongs(gene, hardware) for gene in problem.space.genes])
        self._phi = phi if self._is_hardware.any() and not self._is_hardware.all() else 0
        self._sizes = (batch, hidden)
        self._rates = (rho, learning_rate, decay, entropy)
        constrained = {constraint.name for constraint in problem.analytic_constraints}
        quality = [
            name
            for name in problem.targets
            if name not in constrained and name in problem.measured_names
        ]
        self._quality = (
            quality
            or [name for name in problem.targets if name not in constrained]
            or list(problem.targets)
        )
        self._start()

    def _start(self) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(self._seed, "controller"))
            self._controller = Controller(self._kinds.counts.tolist(), self._sizes[1])
        self._optimizer = torch.optim.Adam(self._controller.parameters(), lr=self._rates[1])
        self._rng = generator_for(self._seed, "reinforce")
        self._average: float | None = None
        self.num_infeasible = 0
        self._batches: list[_Batch] = []
        self._known: dict[bytes, float] = {}  # quality by key
        self._queue: list[Choices] = []  # rows that the last ask had no room for
        self._scales = self._bounds()

    def _bounds(self) -> list[float]:
        """Largest violation of each analytic constraint among hardware for the largest networks; 0
        where it does not bind.
        """
        rows = variation.sample(self._kinds, _BOUND_SAMPLES, self._rng)
        if self._phi:
            rows[:, ~self._is_hardware] = np.array(
                largest(self._problem.space).choices, dtype=np.int16
            )[~self._is_hardware]
        costs = (
            self._problem.cost_values(self._problem.space.repair(rows))
            if self._problem.analytic_constraints
            else {}
        )
        return [float(c.violation(costs[c.name]).max()) for c in self._problem.analytic_constraints]

    def _penalties(self, rows: Choices) -> NDArray[np.float64]:
        """(n,) canonical rows' penalties; 0 exactly where every constraint on a cost holds."""
        costs = self._problem.cost_values(rows) if self._problem.analytic_constraints else {}
        total: NDArray[np.float64] = np.zeros(len(rows))
        for constraint, scale in zip(self._problem.analytic_constraints, self._scales, strict=True):
            violation = constraint.violation(costs[constraint.name])
            total += violation / (scale or 1.0)
        return total

    def _ask(self, count: int) -> tuple[Choices, Lineage]:
        for _ in range(_BATCHES):
            if sum(map(len, self._queue)) >= count:
                break
            self._queue.append(self._episodes())
        waiting = np.concatenate(
            [np.zeros((0, len(self._kinds.counts)), dtype=np.int16), *self._queue]
        )
        found, self._queue = [waiting[:count]], [waiting[count:]]
        num_own = len(found[0])
        missing = count - num_own
        for _ in range(_FALLBACK_ROUNDS if missing else 0):
            rows = self._problem.space.repair(
                variation.sample(self._kinds, max(missing, 32), self._rng)
            )
            rows = rows[self._penalties(rows) <= 0]
            new = self._seen.add_new(rows, missing)
            found.append(rows[new])
            missing -= len(new)
            if not missing:
                break
        names = np.array(
            ["controller"] * num_own + ["sample"] * (count - missing - num_own), dtype=object
        )
        return np.concatenate(found), Lineage(names, np.zeros((len(names), 0), dtype="S1"))

    def _episodes(self) -> Choices:
        """Samples one batch of episodes; (m, g) rows of it that have to be measured."""
        episodes, steps, genes = self._sizes[0], 1 + self._phi, len(self._kinds.counts)
        every = np.ones(genes, dtype=bool)
        first = self._controller.sample(
            episodes, torch.zeros((episodes, genes), dtype=torch.int64), every, self._rng
        )
        again = first.repeat_interleave(self._phi, dim=0)
        if self._phi:
            again = self._controller.sample(len(again), again, self._is_hardware, self._rng)
        choices: Choices = (
            torch.cat([first[:, None], again.view(episodes, self._phi, genes)], dim=1)
            .numpy()
            .astype(np.int16)
        )
        rows = self._problem.space.repair(choices.reshape(-1, genes))
        penalties, keys = self._penalties(rows), key_array(self._problem.space, rows)
        batch = _Batch(
            choices,
            keys.reshape(episodes, steps),
            penalties.reshape(episodes, steps),
            np.full(episodes, np.nan),
        )
        fits = np.flatnonzero(penalties <= 0)
        new = self._seen.add_new(rows[fits], len(fits))
        infeasible = (batch.penalties > 0).all(axis=1)
        self.num_infeasible += int(infeasible.sum())
        batch.quality[infeasible] = 0.0
        self._batches.append(batch)
        self._learn()
        return rows[fits[new]]

    def _tell(
        self, choices: Choices, losses: NDArray[np.float64], violations: NDArray[np.float64]
    ) -> None:
        shares = np.array(
            [0.01 if self._problem.unit(name) == "%" else 1.0 for name in self._quality]
        )
        columns = [self._problem.targets.index(name) for name in self._quality]
        quality = -(losses[:, columns] * shares).mean(axis=1)
        keys = key_array(self._problem.space, choices)
        self._seen.add(keys)
        for key, value, violation in zip(
            keys.tolist(), quality.tolist(), violations.tolist(), strict=True
        ):
            self._known[key] = (
                value if violation < 1e28 else 0.0
            )  # what could not be measured earns nothing
        self._learn()

    def _learn(self) -> None:
        """One gradient step for every batch, in order, of which all is known."""
        for batch in self._batches:
            for episode in np.flatnonzero(np.isnan(batch.quality)):
                told = [
                    self._known[key] for key in batch.keys[episode].tolist() if key in self._known
                ]
                if told:
                    batch.quality[episode] = told[0]
        while self._batches and not np.isnan(self._batches[0].quality).any():
            self._step(self._batches.pop(0))

    def _step(self, batch: _Batch) -> None:
        rho, _, decay, entropy_weight = self._rates
        rewards = (batch.quality[:, None] - rho * batch.penalties).reshape(-1)
        self._average = float(rewards.mean()) if self._average is None else self._average
        advantages = torch.from_numpy(rewards - self._average).float()
        self._average = decay * self._average + (1.0 - decay) * float(rewards.mean())
        steps = batch.choices.shape[1]
        decided = torch.ones((len(rewards), len(self._kinds.counts)))
        decided.view(-1, steps, decided.shape[1])[:, 1:, torch.from_numpy(~self._is_hardware)] = (
            0.0  # frozen in later steps
        )
        logs, entropies = self._controller(
            torch.from_numpy(batch.choices.reshape(len(rewards), -1)).long()
        )
        gain = (
            (logs * decided).sum(dim=1) * advantages
            + entropy_weight * (entropies * decided).sum(dim=1)
        ).mean()
        self._optimizer.zero_grad(set_to_none=True)
        (-gain).backward()
        self._optimizer.step()


def _belongs(gene: Gene, hardware: str) -> bool:
    return bool(hardware) and gene.name.startswith(f"{hardware}.")


def build(
    problem: Problem,
    *,
    seed: int,
    population: int,
    phi: int = 10,
    hardware: str = "chip",
    batch: int = 5,
    rho: float = 10.0,
    hidden: int = 64,
    learning_rate: float = 3.5e-4,
    decay: float = 0.95,
    entropy: float = 1e-4,
) -> Reinforce:
    """A fresh controller; it has no population. `hardware` names the part of a joint space whose
    genes the phi steps sample again.
    """
    return Reinforce(
        problem,
        seed=seed,
        phi=phi,
        hardware=hardware,
        batch=batch,
        rho=rho,
        hidden=hidden,
        learning_rate=learning_rate,
        decay=decay,
        entropy=entropy,
    )
