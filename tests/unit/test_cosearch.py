"""Searching networks with their chip: shared measurements, refined proposals, the controller's
rules, methods beside each other.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import searchspaces
from benchmarks.parts.codesign import LogMacs, stub_study
from evoray import data, searchers
from evoray.engine.generational import Search
from evoray.engine.schedule import Schedule
from evoray.engine.shard import LocalShards
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.shared import SharedEvaluator, direct
from evoray.problem.problem import Problem
from evoray.records.ledger import MemoryLedger
from evoray.records.records import Record, Records, Status
from evoray.records.run_folder import RunFolder
from evoray.searchers.parts.inner_search import InnerSearch
from jobs.nasaic import PRESETS
from jobs.pipelines.cosearch import methods
from jobs.pipelines.cosearch.build import build_setup, check_specs
from jobs.pipelines.cosearch.config import CoSearch
from jobs.pipelines.cosearch.design import described
from jobs.pipelines.cosearch.results import exported_networks
from objectives.asic.specs import Specs
from objectives.base import Candidate, MeasurementError
from objectives.iou import IntersectionOverUnion
from objectives.tasks import TaskObjective, WeightedMean
from searchspaces.base import Architecture, architectures, key_array, largest

BUDGET = methods.Budget(networks=16, seed=1, population=8)


@pytest.fixture(scope="module")
def study() -> Any:
    return stub_study("digits", Specs(latency=1e4, energy=1.2e7, area=1e9))


class Watched:
    """An evaluator that counts what it is asked to measure."""

    def __init__(self, inner: LocalEvaluator) -> None:
        self.inner = inner
        self.asked: list[str] = []

    def submit(self, architectures: Sequence[Architecture], share: float = 1.0) -> None:
        self.asked += [a.key for a in architectures]
        self.inner.submit(architectures, share)

    def collect(self, timeout: float) -> list[Record]:
        return self.inner.collect(timeout)

    def close(self) -> None:
        self.inner.close()


def collected(evaluator: SharedEvaluator, count: int) -> list[Record]:
    records: list[Record] = []
    while len(records) < count:
        records += evaluator.collect(1.0)
    return records


def test_designs_that_differ_in_the_chip_alone_are_measured_once(study: Any) -> None:
    problem = study.problem()
    watched = Watched(LocalEvaluator(direct(problem)))
    memory: dict[Any, Record] = {}
    evaluator = SharedEvaluator(problem, watched, memory)
    chips = methods.drawn_chips(study, 6, np.random.default_rng(0))
    rows = np.unique(study.designs(np.zeros((1, 11), dtype=np.int16), chips), axis=0)
    other = study.designs(np.ones((1, 11), dtype=np.int16), chips[:1])
    asked = architectures(study.space, np.concatenate([rows, other]))
    evaluator.submit(asked)
    records = collected(evaluator, len(asked))
    assert len(watched.asked) == 2
    assert {r.key for r in records} == {a.key for a in asked}
    assert len({r.values["accuracy"] for r in records}) == 2
    assert all(
        r.values["accuracy"]
        == pytest.approx(np.mean([r.values["stub@digit"], r.values["stub@strokes"]]))
        for r in records
    )
    assert evaluator.num_subjects(Records.of(records)) == 2
    again = SharedEvaluator(problem, watched, memory)
    again.submit(asked[:1])
    assert collected(again, 1)[0].seconds == {}
    assert len(watched.asked) == 2
    fresh = SharedEvaluator(problem, watched)
    fresh.remember(Records.of(records))
    fresh.submit(asked[:2])
    assert len(collected(fresh, 2)) == 2
    assert len(watched.asked) == 2
    with pytest.raises(ValueError, match=r"share 0\.5"):
        fresh.submit(asked[:1], 0.5)


def test_networks_that_cannot_be_measured_fail_for_every_chip(study: Any) -> None:
    class Failing(LogMacs):
        def measure(self, candidate: Candidate) -> float:
            raise MeasurementError("no")

    space = study.space
    tasks = [TaskObjective(space, label, Failing(part)) for label, part in space.networks.items()]
    problem = dataclasses.replace(
        study.problem(), measured=(*tasks, WeightedMean({t.name: 1.0 for t in tasks}))
    )
    evaluator = SharedEvaluator(problem, LocalEvaluator(direct(problem)))
    rows = study.designs(
        np.zeros((1, 11), dtype=np.int16), methods.drawn_chips(study, 3, np.random.default_rng(0))
    )
    evaluator.submit(architectures(space, rows))
    records = collected(evaluator, 3)
    assert all(r.status is Status.FAILED and "digit" in r.error for r in records)


def test_a_refined_search_asks_new_rows_and_goes_on_where_it_was(study: Any) -> None:
    problem = study.problem()

    def fresh(seed: int) -> InnerSearch:
        return methods.exact_searcher(study, problem, "nsga2", seed, 8)

    one, other = fresh(3), fresh(4)
    first = one.ask(10)
    assert first.shape == (10, len(problem.space.genes))
    assert len(np.unique(first, axis=0)) == 10
    assert (study.violations(study.costs(first)) <= 0).all()
    assert len(one.lineage()) == 10
    assert one.lineage().operators[0].endswith("+best chips")
    assert one.num_infeasible > 0
    other.restore(json.loads(json.dumps(one.state())))
    assert other.num_infeasible == one.num_infeasible
    second = one.ask(10)
    assert np.array_equal(second, other.ask(10))
    assert not set(key_array(problem.space, first).tolist()) & set(
        key_array(problem.space, second).tolist()
    )


def test_the_controller_earns_penalties_without_measuring_and_shares_an_episodes_accuracy(
    study: Any,
) -> None:
    problem = study.problem()
    searcher: Any = searchers.load("reinforce", problem, seed=0)
    rows = searcher.ask(20)
    assert (study.violations(study.costs(rows)) <= 0).all()
    assert searcher.num_infeasible > 0
    batch = searcher._batches[0]
    assert batch.choices.shape == (5, 11, len(problem.space.genes))
    networks = batch.choices[:, :, :11]
    assert (networks == networks[:, :1]).all(), "hardware steps change the chip alone"
    assert np.isnan(batch.quality).any()
    weights = searcher._controller.start.detach().clone()
    evaluator = SharedEvaluator(problem, LocalEvaluator(direct(problem)))
    evaluator.submit(architectures(problem.space, rows))
    searcher.tell(collected(evaluator, len(rows)))
    assert not torch.equal(weights, searcher._controller.start)
    assert np.allclose(searcher._penalties(rows), 0.0)
    broken = searcher._penalties(
        study.designs(
            np.full((1, 11), 9, dtype=np.int16),
            methods.drawn_chips(study, 200, np.random.default_rng(0)),
        )
    )
    assert broken.max() <= 3.0 + 1e-9, (
        "each term is at most 1 within the bounds, which were drawn the same way"
    )
    assert broken.max() > 0.5


@pytest.mark.parametrize("method", methods.METHODS)
def test_every_method_hands_over_a_design_after_as_many_networks(method: str, study: Any) -> None:
    outcome = methods.METHODS[method](study, BUDGET)
    assert outcome.num_networks == BUDGET.networks
    assert outcome.method == method
    assert np.array_equal(study.space.repair(outcome.best[None])[0], outcome.best)
    costs = study.costs(outcome.best[None])
    assert outcome.violation == pytest.approx(float(study.violations(costs)[0]))
    assert all(
        outcome.values[name] == pytest.approx(float(column[0])) for name, column in costs.items()
    )
    if method == "nas then asic":
        assert outcome.violation > 0
        assert outcome.values["accuracy"] == outcome.records.values["accuracy"].max()
    else:
        assert outcome.violation == 0
        assert (outcome.records.violations <= 0).all(), (
            "networks of a chip that breaks the specs were measured"
        )
    again = methods.METHODS[method](study, BUDGET)
    assert np.array_equal(again.best, outcome.best)
    assert sorted(again.records.keys) == sorted(outcome.records.keys)


def test_the_order_in_which_workers_finish_changes_nothing(study: Any) -> None:
    """One worker, or several whose results come in any order."""

    class Shuffled(LocalEvaluator):
        def __init__(self, problem: Problem) -> None:
            super().__init__(problem)
            self._held: list[Record] = []

        def collect(self, timeout: float) -> list[Record]:
            while self._queue:
                self._held += super().collect(timeout)
            return [self._held.pop()] if self._held else []

    def archive(kind: type[LocalEvaluator]) -> list[tuple[str, float]]:
        problem = study.problem()
        evaluator = SharedEvaluator(problem, kind(direct(problem)))
        ledger = MemoryLedger(len(problem.space.genes))
        searcher = methods.exact_searcher(study, problem, methods.SEARCHER, 5, 8)
        Search(
            problem,
            LocalShards(problem, [searcher]),
            evaluator,
            ledger,
            Schedule(evaluations=30, population=8),
        ).run()
        return sorted((record.key, record.values["accuracy"]) for record in ledger.records)

    assert archive(LocalEvaluator) == archive(Shuffled)


def test_a_design_is_described_with_every_layer_once_and_all_its_energy(study: Any) -> None:
    rows = methods.exact_searcher(study, study.problem(), "random", 0, 8).ask(4)
    for row in rows:
        costs = {name: float(column[0]) for name, column in study.costs(row[None]).items()}
        design = json.loads(json.dumps(described(study, row, costs), allow_nan=False))
        layers = design["layers"]
        assert max(layer["end"] for layer in layers) == pytest.approx(costs["asic_latency"])
        assert sum(layer["energy"] for layer in layers) == pytest.approx(costs["asic_energy"])
        assert all(
            sum(layer["split"].values()) == pytest.approx(layer["energy"]) for layer in layers
        )
        assert sum(layer["macs"] for layer in layers) == study.space.costs(row[None])["macs"][0]
        for slot in range(2):
            own = sorted(
                (layer["start"], layer["end"]) for layer in layers if layer["slot"] == slot
            )
            assert all(before[1] <= after[0] + 1e-9 for before, after in itertools.pairwise(own))


def test_specs_out_of_reach_are_refused_with_the_nearest(study: Any) -> None:
    hard = dataclasses.replace(study, specs=Specs(latency=100.0, energy=1e9))
    with pytest.raises(
        ValueError,
        match=r"meets the specs latency 100, energy 1e\+09.* nearest specs that one meets are "
        r"latency [0-9.e+]+",
    ):
        check_specs(hard, hard.space, 0)


def test_the_digits_preset_fits_together_and_mistakes_are_told() -> None:
    config = PRESETS["digits"]()
    setup = build_setup(config)
    assert [task.supernet for task in setup.tasks] == ["digit", "strokes"]
    assert setup.study.problem().value_names == (
        "accuracy@digit",
        "iou@strokes",
        "accuracy",
        "asic_latency",
        "asic_energy",
        "asic_area",
    )
    swapped = dataclasses.replace(config, first=config.second)
    with pytest.raises(
        ValueError,
        match="task 'digit' of space 'nasaic:digits' is classification, and data source 'strokes'",
    ):
        build_setup(swapped)
    blended = dataclasses.replace(
        config.second, train=dataclasses.replace(config.second.train, mixing="images")
    )
    with pytest.raises(ValueError, match="data 'strokes' has a class for every pixel"):
        build_setup(dataclasses.replace(config, second=blended))
    moved = dataclasses.replace(config.second.train, crop_padding=2, mirror=True)
    assert build_setup(
        dataclasses.replace(config, second=dataclasses.replace(config.second, train=moved))
    )
    with pytest.raises(ValueError, match="no joint space of two networks and a chip"):
        build_setup(dataclasses.replace(config, space="bignas:digits"))
    wrong = dataclasses.replace(config.search, compare=("randm",))
    with pytest.raises(ValueError, match="no method 'randm'; did you mean 'random'"):
        build_setup(dataclasses.replace(config, search=wrong))
    pinned = dataclasses.replace(config.search, fixed=("chip.slot1.pes=64",))
    with pytest.raises(ValueError, match=r"--search\.chips genes"):
        build_setup(dataclasses.replace(config, search=pinned))


def test_both_tasks_of_one_kind_have_one_supernet() -> None:
    digit = PRESETS["digits"]().first
    twice = dataclasses.replace(PRESETS["digits"](), space="nasaic:digit-pair", second=digit)
    assert [task.supernet for task in build_setup(twice).tasks] == ["first", "first"]


@pytest.mark.slow
def test_networks_may_be_trained_alone_repeatably() -> None:
    config = PRESETS["digits"]()
    few = dataclasses.replace(config.first.data, limit=128)
    short = dataclasses.replace(config.first.train, epochs=6.0, batch_size=32, label_smoothing=0.0)
    small = dataclasses.replace(
        config.first, data=few, train=short, calibration_images=64, validation_limit=64
    )
    task = build_setup(dataclasses.replace(config, first=small, accuracy="scratch")).tasks[0]
    task.objective.open(torch.device("cpu"))
    one, again = (
        task.objective.measure(Candidate(task.space, largest(task.space))) for _ in range(2)
    )
    assert one == again
    fresh: Any = task.objective
    assert one > 10 + fresh._inner.measure(Candidate(task.space, largest(task.space)))


def test_strokes_are_half_noise_with_ink_where_the_digit_is() -> None:
    source: Any = data.load("strokes")
    split = source.open("val")
    assert split.labels.shape == (359, 16, 16)
    assert 0.2 < split.labels.float().mean() < 0.4
    assert torch.equal(split.images([3]), source.open("val").images([3]))


class Same(torch.nn.Module):
    """Foreground where the picture says so."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.maps = maps

    def forward(self, x_bchw: torch.Tensor) -> torch.Tensor:
        return x_bchw if self.maps == 1 else torch.cat([-x_bchw, x_bchw], dim=1)


@pytest.mark.parametrize("maps", [1, 2])
def test_intersection_over_union_counts_pixels_of_the_whole_split(maps: int) -> None:
    class Source:
        name, num_classes, image_shape = "two", 2, (1, 2, 2)
        labels = torch.tensor([[[1, 0], [0, 0]], [[1, 1], [0, 0]]])

        def open(self, split: str) -> Source:
            return self

        def __len__(self) -> int:
            return 2

        def images(self, indices: Any) -> torch.Tensor:
            return torch.tensor([[[[1.0, 1.0], [-1.0, -1.0]]], [[[1.0, -1.0], [1.0, -1.0]]]])[
                torch.as_tensor(indices)
            ]

    objective = IntersectionOverUnion(Source(), None)
    objective.open(torch.device("cpu"))
    candidate = Candidate(searchspaces.load("nasaic:nuclei"), Architecture("x", (0,), "0"))
    candidate.__dict__["subnet"] = Same(maps)
    assert objective.measure(candidate) == pytest.approx(100 * 2 / 5)  # there 3, found 4, both 2


def test_a_search_that_kept_no_weights_exports_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kept no weights"):
        exported_networks(RunFolder(tmp_path), CoSearch(accuracy="scratch"), "knee")


def test_missing_data_names_the_option_of_its_task() -> None:
    config = PRESETS["digits"]()
    folder = dataclasses.replace(
        config.second, data=dataclasses.replace(config.second.data, name="image_folder")
    )
    with pytest.raises(FileNotFoundError, match=r"give --second\.data\.root DIR"):
        build_setup(dataclasses.replace(config, second=folder))
