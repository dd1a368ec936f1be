"""Surrogate-assisted multi-objective search, for dear objectives: a Gaussian process predicts, an
optimistic volume gain decides (after Emmerich et al. 2011, doi:10.1109/CEC.2011.5949880, and the
kriging believer of Ginsbourger et al. 2010)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr
from threadpoolctl import threadpool_limits

from evoray import variation
from evoray.pareto import dominance
from evoray.problem.feasible import FeasibleSampler
from evoray.problem.problem import Problem
from evoray.records.records import Record, Records, Status
from evoray.searchers.base import Lineage
from evoray.searchers.parts import acquisition, gaussian_process
from evoray.searchers.parts.breeder import Breeder
from evoray.seeds import generator_for
from searchspaces.base import Choices, key_array, space_size

Floats = NDArray[np.float64]

# a space up to this size is predicted as a whole; of a larger one, what evolves on the predictions
_WHOLE_SPACE = 60_000
_EVOLVED_GENERATIONS = 12
_EVOLVED_POPULATION = 300
_LEARN_GROWTH = 1.1  # the model's weights are learnt anew when there is this much more data
_SAMPLE_ROUNDS = 50
_DOUBTFUL = float(
    np.log(0.25)
    # a network that meets the measured constraints with less than this probability is asked for
    # only in
    # need
)


class Predictor(Breeder):
    """Random networks first, then those that promise the most.

    What is measured is predicted from all records so far, one model a value; what is computed is
    exact. Networks that break an analytic constraint are never asked for; what a network promises
    counts in proportion to the probability that it meets the measured ones (Gelbart et al. 2014,
    arXiv:1403.5607). Computes on one thread, so that the same seed gives the same search on every
    number of cores.
    """

    def __init__(self, problem: Problem, *, seed: int, initial: int) -> None:
        if initial < 2:
            raise ValueError(f"predictor needs at least 2 initial networks, got {initial}")
        super().__init__(problem, seed=seed, stream="predictor", rounds=_SAMPLE_ROUNDS)
        self._initial = initial
        self._window = FeasibleSampler(problem)
        self._bounded = list(problem.measured_constraints)
        wanted = {*problem.targets, *(c.name for c in self._bounded)}
        self._modelled = [name for name in problem.measured_names if name in wanted]
        self._models = {
            name: gaussian_process.GaussianProcess(self._kinds) for name in self._modelled
        }
        self._learnt_at = 0
        self._fitted_at = -1
        num_genes = len(self._kinds.counts)
        self._choices: Choices = np.zeros((0, num_genes), dtype=np.int16)
        self._values: Floats = np.zeros((0, len(self._modelled)))
        self._sources: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self._told: set[bytes] = set()
        self._pending: dict[bytes, Choices] = {}
        self._whole: Choices | None = None

    def _propose(self, count: int) -> tuple[Choices, Lineage]:
        own = int((self._sources == 0).sum())
        taught = (
            len(self._sources) > own
        )  # by earlier runs: random networks would teach it less than its own choice does
        if own < 2 or (own + len(self._pending) < self._initial and not taught):
            choices, lineage = self._new(count, self._first)
        else:
            with threadpool_limits(1):
                choices = self._best(count)
            self._seen.add(key_array(self._problem.space, choices))
            lineage = Lineage.same("predictor", len(choices))
            if len(choices) < count:
                more, origin = self._new(count - len(choices), self._draw)
                choices = np.concatenate([choices, more])
                lineage = Lineage.concat([lineage, origin])
        keys = key_array(self._problem.space, choices).tolist()
        self._pending.update(zip(keys, choices, strict=True))
        return choices, lineage

    def tell(self, records: Sequence[Record]) -> None:
        columns = Records.of(records, len(self._kinds.counts))
        self._seen.add(columns.keys)
        for key in columns.keys.tolist():
            self._pending.pop(key, None)
        self._learn(columns, 0)

    def tell_prior(self, records: Sequence[Record], source: int) -> None:
        """Records of an earlier run: they teach the models but do not count as measured here.
        `source` is 1 or more, one a run.
        """
        self._learn(Records.of(records, len(self._kinds.counts)), source)

    def state(self) -> dict[str, Any]:
        return {
            **super().state(),
            "choices": self._choices.tolist(),
            "values": [[None if np.isnan(v) else v for v in row] for row in self._values.tolist()],
            "sources": self._sources.tolist(),
            "pending": [row.tolist() for row in self._pending.values()],
            "weights": {
                name: gaussian_process.as_json(model.weights)
                for name, model in self._models.items()
            },
            "learnt_at": self._learnt_at,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._choices = np.array(state["choices"], dtype=np.int16).reshape(
            -1, len(self._kinds.counts)
        )
        rows = [[np.nan if v is None else v for v in row] for row in state["values"]]
        self._values = np.array(rows, dtype=np.float64).reshape(
            len(self._choices), len(self._modelled)
        )
        self._sources = np.array(state["sources"], dtype=np.int64)
        self._told = set(key_array(self._problem.space, self._choices[self._sources == 0]).tolist())
        pending = np.array(state["pending"], dtype=np.int16).reshape(-1, len(self._kinds.counts))
        self._pending = dict(
            zip(key_array(self._problem.space, pending).tolist(), pending, strict=True)
        )
        for name, weights in state["weights"].items():
            self._models[name].weights = gaussian_process.from_json(weights)
        self._learnt_at, self._fitted_at = state["learnt_at"], -1

    def _learn(self, columns: Records, source: int) -> None:
        columns = columns.take(np.argsort(columns.keys, kind="stable"))
        usable = (columns.status == Status.OK.code) | (columns.status == Status.CANCELLED.code)
        new = [key not in self._told if source == 0 else True for key in columns.keys.tolist()]
        columns = columns.take(np.flatnonzero(usable & np.array(new, dtype=bool)))
        if len(columns) == 0:
            return
        if source == 0:
            self._told.update(columns.keys.tolist())
        missing = np.full(len(columns), np.nan)
        values = [
            self._problem.goal(name).sign * columns.values.get(name, missing)
            for name in self._modelled
        ]
        self._choices = np.concatenate([self._choices, columns.choices])
        self._values = np.concatenate(
            [self._values, np.stack(values, axis=1).reshape(len(columns), len(self._modelled))]
        )
        self._sources = np.concatenate(
            [self._sources, np.full(len(columns), source, dtype=np.int64)]
        )

    def _first(self, count: int, number: int) -> tuple[Choices, Lineage]:
        """The extremes, where they fit, and random networks."""
        drawn = self._draw(count, number)[0]
        ends = self._problem.space.repair(
            np.stack([np.zeros_like(self._kinds.counts), self._kinds.counts - 1]).astype(np.int16)
        )
        ends = ends[self._window.fits(ends)]
        return np.concatenate([ends, drawn]), Lineage.same("sample", len(ends) + count)

    def _draw(self, count: int, number: int) -> tuple[Choices, Lineage]:
        return self._window.draw(count, self._rng), Lineage.same("sample", count)

    def _best(self, count: int) -> Choices:
        self._fit()
        own = self._sources == 0
        choices, values = self._choices[own], self._values[own]
        known, usable = self._known(choices, values)
        pool = self._pool(
            choices[usable][dominance.front(known[usable])] if usable.any() else choices
        )
        if len(pool) == 0:
            return pool
        hope = self._hope(pool, values)
        if not usable.any():
            return pool[
                np.argsort(-hope + 1e-9 * self._rng.random(len(pool)), kind="stable")[:count]
            ]
        likely = hope >= min(_DOUBTFUL, float(np.sort(hope)[-count:][0]))
        pool, hope = pool[likely], hope[likely]
        mean, std = self._predicted(pool, choices, values)
        pending = (
            self._predicted(np.stack(list(self._pending.values())), choices, values)[0]
            if self._pending
            else None
        )
        return pool[
            acquisition.choose(
                known[usable], mean, std, count, self._rng, pending=pending, log_weight=hope
            )
        ]

    def _known(self, choices: Choices, values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """(n, m) compressed losses of what was measured here, and (n,) which rows are complete and
        feasible.
        """
        costs = self._costs(choices)
        columns, usable = [], np.ones(len(choices), dtype=bool)
        for name in self._problem.targets:
            column = costs[name] if name in costs else values[:, self._modelled.index(name)]
            usable &= ~np.isnan(column)
            columns.append(np.where(np.isnan(column), 0.0, self._compress(column, column)))
        for constraint in self._bounded:
            sign = self._problem.goal(constraint.name).sign
            usable &= (
                np.nan_to_num(
                    constraint.violation(sign * values[:, self._modelled.index(constraint.name)]),
                    nan=1.0,
                )
                <= 0
            )
        return np.stack(columns, axis=1), usable

    def _predicted(self, pool: Choices, choices: Choices, values: Floats) -> tuple[Floats, Floats]:
        """(p, m) compressed losses and their deviations; a computed target is exact."""
        costs, known_costs = self._costs(pool), self._costs(choices)
        mean, std = (
            np.zeros((len(pool), len(self._problem.targets))),
            np.zeros((len(pool), len(self._problem.targets))),
        )
        for j, name in enumerate(self._problem.targets):
            if name in costs:
                mean[:, j] = self._compress(costs[name], known_costs[name])
            else:
                mean[:, j], std[:, j] = self._models[name].predict(pool)
        return mean, std

    def _hope(self, pool: Choices, values: Floats) -> Floats:
        """(p,): logarithm of the probability that each candidate meets the measured constraints,
        taken as independent.
        """
        total = np.zeros(len(pool))
        for constraint in self._bounded:
            sign = self._problem.goal(constraint.name).sign
            column = values[:, self._modelled.index(constraint.name)]
            mean, std = self._models[constraint.name].predict(pool)
            for bound, above in ((constraint.at_most, sign > 0), (constraint.at_least, sign < 0)):
                if bound is None:
                    continue
                limit = float(self._compress(np.array([sign * bound]), column)[0])
                total += log_ndtr((limit - mean if above else mean - limit) / std)
        return total

    def _costs(self, choices: Choices) -> dict[str, Floats]:
        targets = set(self._problem.targets)
        return {
            name: self._problem.goal(name).sign * c
            for name, c in self._problem.cost_values(choices).items()
            if name in targets
        }

    def _compress(self, losses: Floats, known: Floats) -> Floats:
        return gaussian_process.compressed(losses, known[~np.isnan(known)])

    def _pool(self, best: Choices) -> Choices:
        """Canonical networks in the window that were never asked for."""
        if self._whole is None and space_size(self._problem.space) <= _WHOLE_SPACE:
            options = [range(int(n)) for n in self._kinds.counts]
            every = self._problem.space.repair(
                np.array(list(itertools.product(*options)), dtype=np.int16)
            )
            every = every[
                np.sort(np.unique(key_array(self._problem.space, every), return_index=True)[1])
            ]
            self._whole = every[self._window.fits(every)]
        if self._whole is not None:
            self._whole = self._whole[self._seen.new(self._whole)]
            return self._whole
        return self._evolved(best)

    def _evolved(self, best: Choices) -> Choices:
        """Evolves networks on optimistic predictions, from the best known ones and random ones, and
        returns all that it met.
        """
        own = self._sources == 0
        choices, values = self._choices[own], self._values[own]
        population = np.concatenate(
            [best[:_EVOLVED_POPULATION], self._window.draw(_EVOLVED_POPULATION, self._rng)]
        )
        met = [population]
        for generation in range(_EVOLVED_GENERATIONS):
            mean, std = self._predicted(population, choices, values)
            losses = mean - (generation % 3) * 0.5 * std
            order = dominance.survivors(
                losses,
                np.maximum(_DOUBTFUL - self._hope(population, values), 0.0),
                _EVOLVED_POPULATION,
            )
            parents = population[order]
            pairs = self._rng.integers(0, len(parents), size=(2, 2, _EVOLVED_POPULATION)).min(
                axis=0
            )
            crossed = variation.cross(
                parents[pairs[0]], parents[pairs[1]], self._kinds, 0.9, self._rng
            )
            mutated = variation.mutate(
                crossed, self._kinds, 1.0 / len(self._kinds.counts), self._rng
            )
            children = self._problem.space.repair(mutated)
            children = children[self._window.fits(children)]
            met.append(children)
            population = np.concatenate([parents, children])
            population = population[
                np.sort(np.unique(key_array(self._problem.space, population), return_index=True)[1])
            ]
        every = np.concatenate(met)
        return every[self._seen.new(every)]

    def _fit(self) -> None:
        """Brings the models up to date; their weights are learnt anew as the data grows."""
        num = len(self._choices)
        if num == self._fitted_at:
            return
        learn = num >= self._learnt_at * _LEARN_GROWTH
        for i, (name, model) in enumerate(self._models.items()):
            rows = np.flatnonzero(~np.isnan(self._values[:, i]))
            if len(rows) < 2:
                continue
            values, sources = self._values[rows, i].copy(), self._sources[rows]
            for source in np.unique(sources):
                values[sources == source] = gaussian_process.compressed(
                    values[sources == source], values[sources == source]
                )
            model.fit(
                self._choices[rows], values, sources, generator_for(num, "fit", name), learn=learn
            )
        self._fitted_at, self._learnt_at = num, num if learn else self._learnt_at


def build(problem: Problem, *, seed: int, population: int, initial: int | None = None) -> Predictor:
    """A fresh predictor; `initial` random networks come first, None for three populations, at most
    24.
    """
    return Predictor(
        problem, seed=seed, initial=min(24, 3 * population) if initial is None else initial
    )
