"""The ways to design networks and a chip that are compared: together, by evolution, by NASAIC's
controller or at random; or one after the other, as Yang et al. 2020 (arXiv:2002.04116) do for
comparison. All are given the same number of network tuples to measure."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from evoray import searchers, variation
from evoray.engine.generational import Search
from evoray.engine.schedule import Schedule
from evoray.engine.shard import LocalShards
from evoray.evaluation.shared import SharedEvaluator
from evoray.problem.fixed_genes import with_fixed_genes
from evoray.problem.problem import Problem
from evoray.records.records import Records
from evoray.searchers.base import Searcher, num_infeasible_of
from evoray.searchers.parts.inner_search import InnerSearch
from evoray.seeds import generator_for
from jobs.pipelines.cosearch.study import ACCURACY, Study
from objectives.asic.inner import ChipSearch
from searchspaces.base import Choices

MONTE_CARLO = 10_000  # chips that the successive baselines draw, as the paper's
PHI = 10  # chips more that are sampled under each network tuple
SEARCHER = "pymoo_algorithm"  # NSGA-III: four targets
_DESIGNS = 40  # at most, for each network tuple that may be measured


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of one method: the design it hands over and the records behind it.

    Attributes:
        method: Name of the method.
        best: The design it hands over, canonical joint choices (g,).
        values: Objectives and costs of that design, by name.
        violation: 0 where it meets the specs.
        num_networks: Network tuples that were measured, or would have been had nothing been known.
        num_priced: Designs that were priced, repeats included.
        num_skipped: Network tuples that were not measured because no chip looked at would have met
            the specs with them.
        seconds: Wall-clock.
        records: Every design that was measured, in order; of "nas then asic" its networks alone.
    """

    method: str
    best: Choices
    values: Mapping[str, float]
    violation: float
    num_networks: int
    num_priced: int
    num_skipped: int
    seconds: float
    records: Records = field(repr=False)


@dataclass(frozen=True)
class Budget:
    """Network tuples to measure, seed, and candidates a generation."""

    networks: int
    seed: int = 0
    population: int = 16


def evolution(study: Study, budget: Budget) -> Outcome:
    """Evolution of the joint space; every network tuple gets its best chips by the exact inner
    search.
    """
    return _joint(
        study,
        "evolution",
        budget,
        exact_searcher(study, study.problem(), SEARCHER, budget.seed, budget.population),
    )


def sampled_evolution(study: Study, budget: Budget) -> Outcome:
    """The same with `PHI` mutated chips for each network tuple instead: as many chips as the
    controller and random search see.
    """
    problem = study.problem()
    own = searchers.load(SEARCHER, problem, seed=budget.seed, population=budget.population)
    refined = InnerSearch(
        problem, own, _other_chips(study, budget.seed, mutated=True), operator="chips"
    )
    return _joint(study, "evolution with sampled chips", budget, refined)


def random(study: Study, budget: Budget) -> Outcome:
    """Uniform networks and chips, `PHI` chips more for each network tuple."""
    problem = study.problem()
    own = searchers.load("random", problem, seed=budget.seed)
    return _joint(
        study,
        "random",
        budget,
        InnerSearch(
            problem, own, _other_chips(study, budget.seed, mutated=False), operator="chips"
        ),
    )


def reinforce(study: Study, budget: Budget) -> Outcome:
    """NASAIC's controller."""
    return _joint(
        study,
        "reinforce",
        budget,
        searchers.load("reinforce", study.problem(), seed=budget.seed, phi=PHI),
    )


def nas_then_asic(study: Study, budget: Budget) -> Outcome:
    """Evolution for accuracy alone; then, for the most accurate networks, the chip nearest to the
    specs of 10,000 drawn ones.
    """
    start, priced = time.perf_counter(), study.model.num_priced
    problem = study.networks_problem()
    searcher = searchers.load(
        "constrained", problem, seed=budget.seed, population=budget.population
    )
    records, num_networks = _search(study, "nas then asic", problem, searcher, budget)
    chosen = int(
        np.lexsort((records.keys, -np.nan_to_num(records.values[ACCURACY], nan=-np.inf)))[0]
    )
    rows = study.designs(
        records.choices[[chosen]],
        drawn_chips(study, MONTE_CARLO, generator_for(budget.seed, "monte carlo")),
    )
    costs = study.costs(rows)
    best = int(np.lexsort((study.burden(costs), study.violations(costs)))[0])
    values = {name: float(column[chosen]) for name, column in records.values.items()}
    values |= {name: float(column[best]) for name, column in costs.items()}
    violation = float(study.violations(costs)[best])
    priced = study.model.num_priced - priced
    return Outcome(
        "nas then asic",
        rows[best],
        values,
        violation,
        num_networks,
        priced,
        0,
        time.perf_counter() - start,
        records,
    )


def asic_then_nas(study: Study, budget: Budget) -> Outcome:
    """The chip that is nearest to the specs of 10,000 designs drawn at random; then evolution of
    networks that meet them on it.

    Nearest is the least distance below the specs among those that keep them, or the least violation
    where none does.
    """
    rng = generator_for(budget.seed, "monte carlo")
    rows = study.space.repair(
        variation.sample(variation.GeneKinds.of(study.space.genes), MONTE_CARLO, rng)
    )
    costs = study.costs(rows)
    nearest = int(np.lexsort((-study.burden(costs), study.violations(costs)))[0])
    label = study.space.labels[study.space.parts.index(study.chip)]
    chip = next(own for part, own in study.space.split(rows[[nearest]]) if part == study.chip)[0]
    pinned = [
        f"{label}.{gene.name}={gene.options[c]}"
        for gene, c in zip(study.chip.genes, chip.tolist(), strict=True)
    ]
    problem = study.problem(with_fixed_genes(study.space, pinned))
    searcher = searchers.load(
        "constrained", problem, seed=budget.seed, population=budget.population
    )
    return _joint(study, "asic then nas", budget, searcher, problem)


METHODS: Mapping[str, Callable[[Study, Budget], Outcome]] = {
    "evolution": evolution,
    "evolution with sampled chips": sampled_evolution,
    "reinforce": reinforce,
    "random": random,
    "nas then asic": nas_then_asic,
    "asic then nas": asic_then_nas,
}


def exact_searcher(
    study: Study, problem: Problem, name: str, seed: int, population: int
) -> InnerSearch:
    """A searcher whose network tuples get their best chips."""
    own = searchers.load(name, problem, seed=seed, population=population)
    return InnerSearch(
        problem, own, ChipSearch(study.model, study.specs, most_priced=512), operator="best chips"
    )


def drawn_chips(study: Study, count: int, rng: np.random.Generator) -> Choices:
    """(count, genes of the chip) uniform and repaired."""
    return np.asarray(
        study.chip.repair(variation.sample(variation.GeneKinds.of(study.chip.genes), count, rng))
    )


def _other_chips(
    study: Study, seed: int, *, mutated: bool
) -> Callable[[Choices], Sequence[Choices]]:
    """Each row and `PHI` more with other chips under the same networks, mutated or drawn anew;
    those that break the specs left out.
    """
    kinds = variation.GeneKinds.of(study.chip.genes)

    def refine(rows: Choices) -> list[Choices]:
        found = []
        for row in rows:
            rng = generator_for(seed, "chips", row.tobytes().hex())
            own = next(
                columns for part, columns in study.space.split(row[None]) if part == study.chip
            )
            if mutated:
                chips = study.chip.repair(
                    variation.mutate(np.repeat(own, PHI, axis=0), kinds, 0.3, rng)
                )
            else:
                chips = drawn_chips(study, PHI, rng)
            every = study.designs(study.networks_of(row[None]), np.concatenate([own, chips]))
            found.append(every[study.violations(study.costs(every)) <= 0])
        return found

    return refine


def _joint(
    study: Study, method: str, budget: Budget, searcher: Searcher, problem: Problem | None = None
) -> Outcome:
    start, priced = time.perf_counter(), study.model.num_priced
    records, num_networks = _search(study, method, problem or study.problem(), searcher, budget)
    best = study.best(records)
    if best is None:
        raise RuntimeError(
            f"{method} measured no design: nothing it proposed met the specs {study.specs}; loosen "
            "them"
        )
    return Outcome(
        method=method,
        best=records.choices[best],
        values={name: float(column[best]) for name, column in records.values.items()},
        violation=float(records.violations[best]),
        num_networks=num_networks,
        num_priced=study.model.num_priced - priced,
        num_skipped=num_infeasible_of(searcher),
        seconds=time.perf_counter() - start,
        records=records,
    )


def _search(
    study: Study, method: str, problem: Problem, searcher: Searcher, budget: Budget
) -> tuple[Records, int]:
    """The records, and how many network tuples they have: at most the budget. What the last
    generation measured beyond it does not count.
    """
    evaluator = SharedEvaluator(problem, study.evaluator(problem), study.memory)
    schedule = Schedule(evaluations=_DESIGNS * budget.networks, population=budget.population)
    try:
        with study.ledger(method, problem) as ledger:
            shards = LocalShards(problem, [searcher])

            def spent(records: Records) -> bool:
                return evaluator.num_subjects(records) >= budget.networks

            Search(problem, shards, evaluator, ledger, schedule, spent=spent).run()
            records = evaluator.within(ledger.take(np.arange(len(ledger))), budget.networks)
    finally:
        evaluator.close()
    return records, evaluator.num_subjects(records)
