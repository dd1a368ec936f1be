"""Any Optuna sampler as a searcher (Akiba et al. 2019, arXiv:1907.10902): TPE by default."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from evoray import variation
from evoray.problem.problem import WORST_VIOLATION, Problem
from evoray.searchers.base import Lineage
from evoray.searchers.parts.replayed import Replayed
from evoray.seeds import generator_for, seed_for
from searchspaces.base import Choices, key_array, nearest

_ROUNDS = 20  # of proposals met before, in a row, until a random network takes their place


class OptunaStudy(Replayed):
    """An Optuna study under ask and tell, in memory.

    Genes with an order are integers, the others categories. What the sampler proposes again is told
    again with the known result and counts as a duplicate. What it was never asked for, such as
    migrants, is added to the study.
    """

    def __init__(
        self, problem: Problem, *, seed: int, sampler: str, options: dict[str, Any]
    ) -> None:
        super().__init__(problem)
        self._seed = seed
        self._sampler = sampler
        self._options = options
        kinds = variation.GeneKinds.of(problem.space.genes)
        self._kinds = kinds
        self._distributions: dict[str, BaseDistribution] = {
            f"gene{i}": IntDistribution(0, int(count) - 1)
            if ordered
            else CategoricalDistribution(tuple(range(int(count))))
            for i, (count, ordered) in enumerate(zip(kinds.counts, kinds.ordered, strict=True))
        }
        self._start()

    def _start(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        known = inspect.signature(getattr(optuna.samplers, self._sampler)).parameters
        seeded = {"seed": seed_for(self._seed, "optuna") % 2**32} if "seed" in known else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = getattr(optuna.samplers, self._sampler)(**seeded, **self._options)
        self._rng = generator_for(self._seed, "optuna_study")
        self._study = optuna.create_study(
            directions=["minimize"] * len(self._problem.targets), sampler=sampler
        )
        self._trials: dict[bytes, optuna.Trial] = {}
        self._results: dict[bytes, tuple[list[float], float]] = {}

    def _ask(self, count: int) -> tuple[Choices, Lineage]:
        rows: list[Choices] = []
        repeats = 0
        while len(rows) < count and repeats < _ROUNDS:
            trial = self._study.ask(fixed_distributions=self._distributions)
            drawn = np.array([[trial.params[name] for name in self._distributions]], dtype=np.int16)
            row = self._problem.space.repair(drawn)
            key = key_array(self._problem.space, row)[0]
            if len(self._seen.add_new(row, 1)):
                self._trials[key] = trial
                rows.append(row)
                repeats = 0
                continue
            repeats += 1
            if key in self._results:
                self._tell_trial(trial, *self._results[key])
            else:
                self._study.tell(
                    trial, state=TrialState.FAIL
                )  # it is being measured: the first proposal will bring the result
        for _ in range(_ROUNDS if len(rows) < count else 0):
            drawn = self._problem.space.repair(
                variation.sample(self._kinds, count - len(rows), self._rng)
            )
            rows += [drawn[[i]] for i in self._seen.add_new(drawn, len(drawn))]
        operator = self._sampler.removesuffix("Sampler").lower()
        found = (
            np.concatenate(rows)
            if rows
            else np.zeros((0, len(self._distributions)), dtype=np.int16)
        )
        return found, Lineage.same(operator, len(found))

    def _tell(
        self, choices: Choices, losses: NDArray[np.float64], violations: NDArray[np.float64]
    ) -> None:
        for row, key, loss, violation in zip(
            choices,
            key_array(self._problem.space, choices).tolist(),
            losses.tolist(),
            violations.tolist(),
            strict=True,
        ):
            if key in self._results:
                continue
            self._results[key] = (loss, violation)
            self._seen.add_new(row[None], 1)
            trial = self._trials.pop(key, None)
            if trial is not None:
                self._tell_trial(trial, loss, violation)
            elif violation < WORST_VIOLATION:
                self._study.add_trial(
                    optuna.trial.create_trial(
                        values=loss,
                        params={
                            name: int(option)
                            for name, option in zip(self._distributions, row, strict=True)
                        },
                        distributions=self._distributions,
                        constraints={"violation": violation},
                    )
                )

    def _tell_trial(self, trial: optuna.Trial, loss: list[float], violation: float) -> None:
        if violation >= WORST_VIOLATION:
            self._study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_constraint("violation", violation)
        self._study.tell(trial, loss)


def build(
    problem: Problem,
    *,
    seed: int,
    population: int,
    sampler: str = "TPESampler",
    options: dict[str, Any] | None = None,
) -> OptunaStudy:
    """A fresh study; `sampler` is a class of optuna.samplers, `options` are its own.

    Raises:
        ValueError: There is no such sampler.
    """
    known = [
        name
        for name in dir(optuna.samplers)
        if name.endswith("Sampler") and not name.startswith("Base")
    ]
    if sampler not in known:
        raise ValueError(f"Optuna has no sampler {sampler!r}; {nearest(sampler, known)}")
    sized = (
        {"population_size": population} if sampler in ("NSGAIISampler", "NSGAIIISampler") else {}
    )
    return OptunaStudy(problem, seed=seed, sampler=sampler, options={**sized, **(options or {})})
