"""Objectives in two halves: candidates that differ in decoding genes alone cost one forward
pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import evoray
from evoray.evaluation.evaluator import LocalEvaluator
from evoray.evaluation.predictions import Predictions, num_bytes
from evoray.evaluation.shared import SharedEvaluator
from evoray.evaluation.subjects import separable, subject, value_subject
from evoray.evaluation.worker import EvaluationWorker
from evoray.problem.contracts import check_space
from evoray.problem.fixed_genes import with_fixed_genes
from evoray.problem.problem import Problem
from evoray.records.records import Record, Status
from objectives.base import Candidate
from searchspaces.base import Architecture, decoding_columns
from searchspaces.parts.product import Product
from tests.synthetic import (
    DecodedSpace,
    Detection,
    Score,
    TableSpace,
    Whole,
    decoded_candidates,
)

SPACE = DecodedSpace()


def problem_of(objective: Any) -> Problem:
    return Problem(SPACE, (objective,), (), ("precision", "found"))


def collected(evaluator: Any, asked: Sequence[Architecture]) -> list[Record]:
    evaluator.submit(asked)
    records: list[Record] = []
    while len(records) < len(asked):
        records += evaluator.collect(1.0)
    return records


def lines(log: Path) -> int:
    return len(log.read_text(encoding="utf-8").splitlines())


def told(records: Sequence[Record]) -> list[Any]:
    """All that does not depend on how long measuring took."""
    return [(r.key, dict(r.values), r.status, r.error, list(r.seconds)) for r in records]


def test_candidates_of_one_network_cost_one_forward_pass(tmp_path: Path) -> None:
    log, asked = tmp_path / "log", decoded_candidates(5, 12)
    objective = Detection(log=str(log))
    found = collected(LocalEvaluator(problem_of(objective)), asked)
    assert len({r.key for r in found}) == 60
    assert lines(log) == 5
    whole = collected(LocalEvaluator(problem_of(Whole(objective))), asked)
    assert lines(log) == 5 + 60
    assert told(found) == told(whole)
    assert all(r.seconds["detection"] > 0 for r in found)


def test_a_failed_forward_pass_fails_every_candidate_of_its_network_by_its_own_key() -> None:
    objective, asked = Detection(broken=True), decoded_candidates(9, 4)
    found = collected(LocalEvaluator(problem_of(objective), max_attempts=2), asked)
    assert told(found) == told(
        collected(LocalEvaluator(problem_of(Whole(objective)), max_attempts=2), asked)
    )
    failed = [r for r in found if r.status is Status.FAILED]
    assert 0 < len(failed) < 36
    assert len(failed) % 4 == 0
    assert all(f"{r.key} predicts NaN" in r.error for r in failed)


def test_the_first_candidate_of_a_network_carries_the_time_of_its_forward_pass() -> None:
    import time

    class Slow(Detection):
        def infer(self, candidate: Candidate) -> Any:
            time.sleep(0.05)
            return super().infer(candidate)

    found = collected(LocalEvaluator(problem_of(Slow())), decoded_candidates(1, 6))
    first, *rest = (r.seconds["detection"] for r in found)
    assert first >= 0.05
    assert max(rest) < 0.05


def test_a_search_over_decoding_genes_has_the_records_of_one_without_halves(tmp_path: Path) -> None:
    log = tmp_path / "log"
    options: dict[str, Any] = {"evaluations": 60, "population": 20, "searcher": "nsga2", "seed": 3}
    found = evoray.search(SPACE, [Detection(log=str(log))], **options)
    networks = {tuple(row[:5]) for row in found.records["choices"].to_pylist()}
    assert lines(log) == len(networks) < 60
    whole = evoray.search(SPACE, [Whole(Detection())], **options)
    for name in ("key", "precision", "found", "parents", "operator"):
        assert found.records[name].to_pylist() == whole.records[name].to_pylist()


def test_new_weights_need_new_predictions(tmp_path: Path) -> None:
    log = tmp_path / "log"
    worker = EvaluationWorker(SPACE, Detection(log=str(log)), None)
    for _ in range(2):
        for architecture in decoded_candidates(1, 3):
            worker.measure(architecture)
    assert lines(log) == 1
    worker.renew(SPACE, None)
    worker.measure(decoded_candidates(1, 1)[0])
    assert lines(log) == 2


def test_halves_mean_nothing_where_no_gene_is_of_decoding(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Own(Score):
        """A plain objective whose own methods have these names by accident."""

        def infer(self, images: int, batch: int) -> int:
            return images // batch

        def score(self) -> float:
            return 0.0

    assert separable(Own(), TableSpace()) is None
    assert separable(Detection(), SPACE) is not None
    result = evoray.search(TableSpace(), [Own()], evaluations=4, searcher="random")
    assert result.records["score"].null_count == 0


def test_one_notion_of_what_looks_alike_serves_values_and_predictions(tmp_path: Path) -> None:
    class OnDepth(Detection):
        """Looks at the depth alone."""

        def subject(self, architecture: Architecture) -> str:
            return str(architecture.choices[0])

        def infer(self, candidate: Candidate) -> Any:
            depth, *rest = candidate.architecture.choices
            shallow = (depth, *[0] * len(rest))
            return super().infer(Candidate(SPACE, Architecture(SPACE.name, shallow, ""), None))

    one, *_, other = decoded_candidates(1, 12)
    plain, on_depth = Detection(), OnDepth()
    assert subject(plain, SPACE, one) == subject(plain, SPACE, other)
    assert value_subject(plain, SPACE, one) != value_subject(plain, SPACE, other)
    assert subject(on_depth, SPACE, one) == str(one.choices[0])
    assert value_subject(on_depth, SPACE, one) != value_subject(on_depth, SPACE, other)
    assert subject(Score(), SPACE, one) == value_subject(Score(), SPACE, one) == one.key  # type: ignore[arg-type]

    log, asked = tmp_path / "log", decoded_candidates(30, 4)
    problem = problem_of(OnDepth(log=str(log)))
    found = collected(SharedEvaluator(problem, LocalEvaluator(problem)), asked)
    depths = {a.choices[0] for a in asked}
    assert lines(log) == len(depths)
    assert sum(bool(r.seconds) for r in found) == 4 * len(depths), "the others were known"
    alone = {r.key: r.values for r in collected(LocalEvaluator(problem), asked)}
    assert {r.key: r.values for r in found} == alone


def test_what_is_held_stays_below_its_bound_and_the_least_used_goes_first(tmp_path: Path) -> None:
    held = Predictions(limit_bytes=10_000)
    arrays = [np.zeros(500) for _ in range(5)]
    for index in range(3):
        held.add(str(index), arrays[index])
    assert held.num_bytes <= 10_000
    assert len(held) == 2
    assert held.get("0") is None
    assert held.get("1") is arrays[1]
    held.add("3", arrays[3])
    assert held.get("2") is None
    assert held.get("1") is arrays[1]
    held.add("large", np.zeros(10_000))
    assert held.get("large") is None
    assert len(held) == 2

    log = tmp_path / "log"
    worker = EvaluationWorker(SPACE, Detection(log=str(log), size=1000), None)
    worker._predictions = Predictions(limit_bytes=20_000)
    asked = decoded_candidates(6, 3)  # by turns, so that what does not fit is inferred anew
    values = [worker.measure(a).values for a in asked]
    assert values == [
        EvaluationWorker(SPACE, Detection(size=1000), None).measure(a).values for a in asked
    ]
    assert lines(log) == 18
    assert 0 < worker._predictions.num_bytes <= 20_000


def test_the_size_of_predictions_counts_what_containers_hold() -> None:
    @dataclass
    class Boxes:
        corners: torch.Tensor
        texts: list[str]

    tensor = torch.zeros(1000, 4)
    assert num_bytes(tensor) >= 16_000
    assert num_bytes(np.zeros(1000)) >= 8000
    assert num_bytes(np.zeros((10, 1000))[:, :500]) >= 40_000
    assert num_bytes([{"boxes": tensor}, (tensor.clone(),)]) >= 32_000
    assert num_bytes(Boxes(tensor, ["word"] * 10)) >= 16_000 + 10 * 50
    assert num_bytes(None) < 100


def test_a_space_names_its_decoding_genes_and_what_contains_it_hands_them_on() -> None:
    check_space(SPACE)
    assert decoding_columns(SPACE) == [5, 6]
    assert decoding_columns(TableSpace()) == []
    fixed = with_fixed_genes(SPACE, ["activation=gelu"])
    assert decoding_columns(fixed) == [5, 6]
    assert decoding_columns(with_fixed_genes(TableSpace(), ["activation=gelu"])) == []
    product = Product(name="two", labels=("a", "b"), parts=(TableSpace(), SPACE))
    assert [product.genes[column].name for column in decoding_columns(product)] == [
        "b.threshold",
        "b.overlap",
    ]
    assert Candidate(SPACE, decoded_candidates(1, 12)[-1], None).decoding == {
        "threshold": 0.7,
        "overlap": 0.6,
    }
    for wrong in (("treshold",), tuple(gene.name for gene in SPACE.genes)):
        with pytest.raises(ValueError, match="some of its genes as decoding_genes"):
            check_space(DecodedSpace(decoding_genes=wrong))
