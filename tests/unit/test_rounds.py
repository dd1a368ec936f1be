"""Rounds of measuring anew: who survives, where children come from, what a round's ledger holds;
one gene a time; the CARS selector.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import searchspaces
from evoray import data, searchers
from evoray.engine.interleaved import (
    Population,
    best_row,
    first_population,
    measure_round,
    next_population,
)
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.worker import EvaluationWorker, weights_of
from evoray.pareto import cars
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from evoray.records.records import Record, Records, Status
from evoray.searchers.base import Lineage
from evoray.searchers.one_gene import OneGene
from objectives.base import Candidate
from objectives.complexity import Cost
from objectives.inception import GenerativeScores, Scorer
from objectives.inception.extractors import Features
from searchspaces.base import architectures, key_array
from searchspaces.eagan.pairs import Pairs, copies_state
from tests.synthetic import Score, table_problem

G: Any = dataclasses.replace(searchspaces.load("eagan:generator-digits"), channels=4, latent=6)  # type: ignore[type-var]
D: Any = dataclasses.replace(searchspaces.load("eagan:discriminator-digits"), channels=4)  # type: ignore[type-var]


class Counting(LocalEvaluator):
    """Counts what it measures."""

    num = 0

    def submit(self, candidates: Any, share: float = 1.0) -> None:
        self.num += len(candidates)
        super().submit(candidates, share)


class Turned(Score):
    """Score with its sign turned: the best becomes the worst."""

    def measure(self, candidate: Candidate) -> float:
        return -super().measure(candidate)


def one_gene(problem: Any, population: int = 4, **options: Any) -> OneGene:
    found = searchers.load("one_gene", problem, seed=3, population=population, **options)
    assert isinstance(found, OneGene)
    return found


def test_a_round_measures_everybody_once_and_half_of_them_survive() -> None:
    problem = table_problem()
    searcher = one_gene(problem)
    population = first_population(searcher, problem, 8)
    ledger, evaluator = MemoryLedger(5), Counting(problem)
    records = measure_round(problem, population, evaluator, ledger, 4)
    assert records.keys.tolist() == population.keys.tolist()
    assert set(records.generations.tolist()) == {4}
    assert (
        measure_round(problem, population, evaluator, ledger, 4).keys.tolist()
        == population.keys.tolist()
    )
    assert evaluator.num == 8
    following = next_population(searcher, problem, population, records, by="score")
    assert len(set(following.keys.tolist())) == 8
    assert len(set(following.keys.tolist()) & set(population.keys.tolist())) == 4
    assert following.best == best_row(problem, records, "score")
    for key, origin, operator in zip(
        following.keys.tolist(), following.origins, following.lineage.operators, strict=True
    ):
        if operator == "survivor":
            assert population.keys[origin] == key
    children = [
        i for i, o in enumerate(following.lineage.operators) if o in ("crossover", "mutation")
    ]
    assert children
    for child in children:
        assert population.keys[following.origins[child]] == following.lineage.parents[child, 0]


def test_survivors_are_measured_anew_and_may_lose_their_place() -> None:
    problem = table_problem()
    searcher = one_gene(problem)
    population = first_population(searcher, problem, 8)
    records = measure_round(problem, population, LocalEvaluator(problem), MemoryLedger(5), 0)
    second = next_population(searcher, problem, population, records, by="score")
    other = table_problem(score=Turned())  # the weights have changed, and with them every value
    anew = measure_round(other, second, LocalEvaluator(other), MemoryLedger(5), 1)
    third = next_population(searcher, other, second, anew, by="score")
    assert len(third.choices) == 8
    values = dict(zip(second.keys.tolist(), anew.values["score"].tolist(), strict=True))
    assert max(values, key=lambda key: values[key]) in third.keys.tolist()


def test_a_round_of_which_nothing_could_be_measured_says_so() -> None:
    failed = [
        Record(key=f"k{i}", choices=(0, 0, 0, 0, i), status=Status.FAILED, error="NaN")
        for i in range(3)
    ]
    with pytest.raises(
        RuntimeError, match="none of the round's 3 networks could be measured; the last error: NaN"
    ):
        best_row(table_problem(), Records.of(failed), "score")


def test_children_differ_from_their_parents_by_the_spaces_own_operators() -> None:
    problem = Problem(D, (), (Cost(D, "params"), Cost(D, "macs")), ("params", "macs"))
    searcher = one_gene(problem, crossover_probability=0.0, mutation_probability=1.0)
    parents = searcher.ask(4)
    names = [key.decode() for key in key_array(D, parents).tolist()]
    costs = problem.cost_values(parents)
    searcher.tell(
        [
            Record(key=key, choices=tuple(row), values={n: float(c[i]) for n, c in costs.items()})
            for i, (key, row) in enumerate(zip(names, parents.tolist(), strict=True))
        ]
    )
    children = searcher.ask(20)
    origin = [names.index(key.decode()) for key in searcher.lineage().parents[:, 0].tolist()]
    assert D.rules.is_valid(children).all()
    changed = (children != parents[origin]).sum(axis=1)
    assert (changed >= 1).all()
    assert (
        np.median(changed) == 1
    )  # a switch, or a gene that nothing reads any more, takes others along


def test_impossible_evolution_is_refused() -> None:
    problem = table_problem()
    with pytest.raises(ValueError, match=r"add up to more than 0 and at most 1, got 0\.8 and 0\.5"):
        one_gene(problem, crossover_probability=0.8)
    with pytest.raises(ValueError, match="no selector 'car'; there is nsga2, cars"):
        one_gene(problem, selector="car")


def test_the_released_selector_keeps_the_worst_of_an_objective() -> None:
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(50):
        losses = rng.random((64, 3))
        chosen = cars.survivors(losses, np.zeros(64), 32)
        assert len(set(chosen.tolist())) == 32
        kept += int(np.argmax(losses[:, 1]) in chosen)
    assert kept >= 45
    order = cars.survivors(
        np.array([[1.0, 1.0], [2.0, 2.0], [0.0, 0.0]]), np.array([0.0, 3.0, 1.0]), 3
    )
    assert order.tolist() == [0, 2, 1]


def test_a_pairs_network_is_the_generator_that_trained_against_its_discriminator() -> None:
    generator = architectures(G, G.sample(1, np.random.default_rng(0)))[0]
    members = architectures(D, D.sample(3, np.random.default_rng(1)))
    pairs: Any = Pairs(D, G, generator, tuple(m.key for m in members))
    networks = [G.build_subnet(None, generator) for _ in members]
    supernet = pairs.build_supernet()
    supernet.load_state_dict(copies_state([n.state_dict() for n in networks]))
    found = pairs.build_subnet(supernet, members[1])
    assert all(
        torch.equal(p, dict(networks[1].named_parameters())[n]) for n, p in found.named_parameters()
    )
    assert (
        pairs.costs(np.array([members[1].choices], dtype=np.int16))["params"]
        == D.costs(np.array([members[1].choices]))["params"]
    )
    with pytest.raises(ValueError, match="has no generator that was trained against it"):
        pairs.build_subnet(supernet, architectures(D, D.sample(1, np.random.default_rng(9)))[0])


class Echo:
    """An extractor without weights: a few pixels are the features, others the logits."""

    label, digest, num_features, num_classes = "echo", "echo", 4, 5

    def open(self, device: torch.device) -> None:
        """Opens nothing."""

    def extract(self, pixels_bchw: torch.Tensor) -> Features:
        flat = pixels_bchw.flatten(1).float() / 255.0
        return Features(flat[:, 100:104], flat[:, 120:125])


def test_a_bench_goes_on_with_weights_that_were_trained_further() -> None:
    scorer = Scorer(
        data.load("digits", image_size=16, limit=40),
        Echo(),
        latent=G.latent,
        num_images=20,
        num_splits=2,
    )
    torch.manual_seed(0)
    one, other = (weights_of(G.build_supernet()) for _ in range(2))
    member = architectures(G, G.sample(1, np.random.default_rng(0)))
    worker = EvaluationWorker(G, GenerativeScores(scorer, None, kinds=("fid",)), one)
    before = worker.measure(member[0]).values
    worker.renew(G, other)
    after = worker.measure(member[0]).values
    assert before != after
    assert (
        after
        == EvaluationWorker(G, GenerativeScores(scorer, None, kinds=("fid",)), other)
        .measure(member[0])
        .values
    )


def test_a_generator_that_computes_nan_is_a_failed_record_and_the_round_goes_on() -> None:
    supernet = G.build_supernet()
    members = architectures(G, G.sample(4, np.random.default_rng(0)))
    names = [{n for n, _ in G.build_subnet(supernet, m).named_parameters()} for m in members]
    own = sorted(names[0].difference(*names[1:]))
    with torch.no_grad():
        dict(supernet.named_parameters())[own[0]].fill_(float("nan"))
    scorer = Scorer(
        data.load("digits", image_size=16, limit=40),
        Echo(),
        latent=G.latent,
        num_images=20,
        num_splits=2,
    )
    problem = Problem(
        G,
        (GenerativeScores(scorer, None, kinds=("fid",)),),
        (Cost(G, "params"),),
        ("fid@echo", "params"),
    )
    choices = np.array([m.choices for m in members], dtype=np.int16)
    population = Population(choices, key_array(G, choices), Lineage.same("sample", 4))
    records = measure_round(
        problem, population, LocalEvaluator(problem, weights_of(supernet)), MemoryLedger(21), 0
    )
    assert records.failed.tolist() == [True, False, False, False]
    assert "generated images are not finite" in records.errors[0]
    searcher = one_gene(problem, population=2)
    searcher.tell(records)
    assert members[0].key.encode() not in searcher.parents[1].tolist()
    assert best_row(problem, records, "fid@echo") > 0
