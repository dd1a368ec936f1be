"""Any of pymoo's genetic algorithms as a searcher (Blank and Deb 2020,
doi:10.1109/ACCESS.2020.2990567): NSGA-III by default, for four objectives and more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymoo.algorithms.moo.age import AGEMOEA
from pymoo.algorithms.moo.age2 import AGEMOEA2
from pymoo.algorithms.moo.ctaea import CTAEA
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.algorithms.moo.spea2 import SPEA2
from pymoo.algorithms.moo.unsga3 import UNSGA3
from pymoo.core.problem import Problem as PymooProblem
from pymoo.core.repair import Repair
from pymoo.core.termination import NoTermination
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.repair.rounding import RoundingRepair
from pymoo.operators.sampling.rnd import IntegerRandomSampling
from pymoo.util.ref_dirs import get_reference_directions

from evoray import variation
from evoray.problem.problem import Problem
from evoray.searchers.base import Lineage
from evoray.searchers.parts.replayed import Replayed
from evoray.seeds import generator_for, seed_for
from searchspaces.base import Choices, SearchSpace, key_array, nearest

_WITHOUT_DIRECTIONS: dict[str, Callable[..., Any]] = {
    "nsga2": NSGA2,
    "agemoea": AGEMOEA,
    "agemoea2": AGEMOEA2,
    "smsemoa": SMSEMOA,
    "spea2": SPEA2,
}
_WITH_DIRECTIONS: dict[str, Callable[..., Any]] = {"nsga3": NSGA3, "unsga3": UNSGA3, "ctaea": CTAEA}
_ROUNDS = 10  # of generations without a new network, until random ones take their place


class PymooAlgorithm(Replayed):
    """One of pymoo's algorithms on option indices, with its integer operators and the space's
    repair.

    A generation is told to pymoo when all of its networks have records. Asked for more before that,
    or for more than the algorithm has that is new, it hands out random networks, which pymoo is not
    told of.
    """

    def __init__(self, problem: Problem, *, seed: int, population: int, algorithm: str) -> None:
        super().__init__(problem)
        self._seed = seed
        self._population = population
        self._name = algorithm
        self._kinds = variation.GeneKinds.of(problem.space.genes)
        self._start()

    def _start(self) -> None:
        self._rng = generator_for(self._seed, "pymoo_algorithm")
        self._algorithm = _built(
            self._name, self._problem.space, len(self._problem.targets), self._population
        )
        self._algorithm.setup(
            _Indices(self._kinds.counts, len(self._problem.targets)),
            termination=NoTermination(),
            seed=seed_for(self._seed, "pymoo") % 2**31,
            verbose=False,
        )
        self._generation: Any = None  # pymoo's Population that waits for its results
        self._keys: list[bytes] = []
        self._fresh: list[Choices] = []
        self._results: dict[bytes, tuple[NDArray[np.float64], float]] = {}

    def _ask(self, count: int) -> tuple[Choices, Lineage]:
        rows: list[Choices] = []
        operators: list[str] = []
        for _ in range(_ROUNDS):
            if self._generation is None and len(rows) < count:
                self._breed()
            while self._fresh and len(rows) < count:
                rows.append(self._fresh.pop(0))
                operators.append(self._name)
            if len(rows) == count or self._generation is not None:
                break
        for _ in range(_ROUNDS):
            if len(rows) < count:
                drawn = self._problem.space.repair(
                    variation.sample(self._kinds, count - len(rows), self._rng)
                )
                new = self._seen.add_new(drawn, len(drawn))
                rows += [drawn[i] for i in new]
                operators += ["sample"] * len(new)
        found = np.array(rows, dtype=np.int16).reshape(len(rows), len(self._kinds.counts))
        return found, Lineage(
            np.array(operators, dtype=object), np.zeros((len(rows), 0), dtype="S1")
        )

    def _breed(self) -> None:
        self._generation = self._algorithm.ask()
        choices = self._generation.get("X").astype(np.int16)
        self._keys = key_array(self._problem.space, choices).tolist()
        self._fresh = list(choices[self._seen.add_new(choices, len(choices))])
        self._advance()

    def _tell(
        self, choices: Choices, losses: NDArray[np.float64], violations: NDArray[np.float64]
    ) -> None:
        self._seen.add_new(choices, len(choices))
        for key, loss, violation in zip(
            key_array(self._problem.space, choices).tolist(),
            losses,
            violations.tolist(),
            strict=True,
        ):
            self._results.setdefault(key, (loss, violation))
        self._advance()

    def _advance(self) -> None:
        """Tells pymoo of the generation when it is complete."""
        if self._generation is None or any(key not in self._results for key in self._keys):
            return
        self._generation.set("F", np.array([self._results[key][0] for key in self._keys]))
        self._generation.set("G", np.array([[self._results[key][1]] for key in self._keys]))
        self._algorithm.tell(infills=self._generation)
        self._generation = None


class _Indices(PymooProblem):  # type: ignore[misc]  # pymoo is not typed
    """Description of the search for pymoo; it never evaluates."""

    def __init__(self, counts: NDArray[np.int16], num_targets: int) -> None:
        super().__init__(
            n_var=len(counts),
            n_obj=num_targets,
            n_ieq_constr=1,
            xl=0,
            xu=counts.astype(int) - 1,
            vtype=int,
        )


class _Canonical(Repair):  # type: ignore[misc]
    """The space's own repair."""

    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self._space = space

    def _do(self, problem: Any, x: NDArray[Any], **kwargs: Any) -> NDArray[np.int64]:
        return self._space.repair(
            np.clip(np.rint(x.astype(float)), problem.xl, problem.xu).astype(np.int16)
        ).astype(int)


def _built(name: str, space: SearchSpace, num_targets: int, population: int) -> Any:
    operators = {
        "sampling": IntegerRandomSampling(),
        "crossover": SBX(prob=0.9, eta=15, vtype=float, repair=RoundingRepair()),
        "mutation": PM(eta=20, vtype=float, repair=RoundingRepair()),
        "repair": _Canonical(space),
    }
    if name in _WITHOUT_DIRECTIONS:
        return _WITHOUT_DIRECTIONS[name](pop_size=population, **operators)
    directions = get_reference_directions(
        "das-dennis", num_targets, n_partitions=_num_partitions(num_targets, population)
    )
    size = {} if name == "ctaea" else {"pop_size": max(population, len(directions))}
    return _WITH_DIRECTIONS[name](ref_dirs=directions, **size, **operators)


def _num_partitions(num_targets: int, population: int) -> int:
    """The finest division of the objectives with at most `population` directions."""
    num = 1
    while (
        len(get_reference_directions("das-dennis", num_targets, n_partitions=num + 1)) <= population
    ):
        num += 1
        if num_targets == 1:
            break
    return num


def build(
    problem: Problem, *, seed: int, population: int, algorithm: str = "nsga3"
) -> PymooAlgorithm:
    """A fresh algorithm: nsga2, nsga3, unsga3, agemoea, agemoea2, ctaea, smsemoa or spea2. RVEA is
    not among them: it must know its last generation.

    Raises:
        ValueError: There is no such algorithm.
    """
    known = [*_WITHOUT_DIRECTIONS, *_WITH_DIRECTIONS]
    if algorithm not in known:
        raise ValueError(f"no pymoo algorithm {algorithm!r}; {nearest(algorithm, known)}")
    return PymooAlgorithm(problem, seed=seed, population=population, algorithm=algorithm)
