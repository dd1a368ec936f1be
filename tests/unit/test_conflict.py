"""Gradient conflict, adaptive divergence, outside teachers, and what the training loop makes of the
samplers.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import searchspaces
from evoray.data.digits import Digits
from evoray.training import samplers, tasks
from evoray.training.config import TrainConfig
from evoray.training.gradient_conflict import conflict_matrix, cosine, gradient, used_weights
from evoray.training.loop import train_supernet
from evoray.training.process_group import SingleProcess
from evoray.training.recipe.distillation import adaptive_loss, ensemble_labels, soft_loss
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.samplers import performance_aware
from evoray.training.supernet_step import forward_together, subnet_losses
from evoray.training.tasks.parts.labelled_images import image_logits
from searchspaces.base import architecture_of, largest, smallest

SPACES = ["elasticvit:digits", "vit_resnas:digits", "bignas:digits"]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def batch(count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(count, 1, 32, 32), torch.arange(count) % 10


def against(labels: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda logits: F.cross_entropy(logits, labels)


@pytest.mark.parametrize("name", SPACES)
def test_used_weights_are_those_a_gradient_may_reach(name: str) -> None:
    space = searchspaces.load(name)
    supernet = space.build_supernet()
    for parameter in supernet.parameters():
        nn.init.normal_(parameter, float(parameter.ndim == 1), 0.1)
    for architecture in (smallest(space), largest(space)):
        masks = used_weights(space, supernet, architecture)
        x, labels = batch()
        found = gradient(supernet, architecture, x, against(labels))
        assert (
            sum(int(mask.sum()) for mask in masks.values())
            == space.costs(np.array([architecture.choices]))["params"][0]
        )
        for parameter, values in found.items():
            mask = masks.get(parameter, torch.zeros_like(values, dtype=torch.bool))
            assert not values[~mask].any(), parameter
    assert all(parameter.grad is None for parameter in supernet.parameters())


def test_cosines_are_one_minus_one_and_zero_where_they_should_be() -> None:
    shared = {"w": torch.tensor([True, True, False]), "v": torch.tensor([True])}
    first = {"w": torch.tensor([1.0, 2.0, 9.0]), "v": torch.tensor([2.0]), "other": torch.ones(4)}
    other = {"w": torch.tensor([2.0, 4.0, -7.0]), "v": torch.tensor([4.0])}
    against = {name: -2 * value for name, value in first.items()}
    across = {"w": torch.tensor([2.0, 0.0, 1.0]), "v": torch.tensor([-1.0])}
    assert cosine(first, other, shared) == pytest.approx(1.0)
    assert cosine(first, against, shared) == pytest.approx(-1.0)
    assert cosine(first, across, shared) == pytest.approx(0.0, abs=1e-7)
    assert np.isnan(cosine(first, {name: torch.zeros_like(v) for name, v in first.items()}, shared))


def test_a_conflict_matrix_is_symmetric_and_what_autograd_says_by_hand() -> None:
    space = searchspaces.load("elasticvit:digits")
    supernet = space.build_supernet()
    x, labels = batch()
    chosen = [
        smallest(space),
        architecture_of(space, {"stage2.width": 64, "stage3.depth": 3}),
        largest(space),
    ]
    cosines = conflict_matrix(space, supernet, chosen, x, against(labels))
    assert np.allclose(cosines, cosines.T)
    assert np.allclose(np.diag(cosines), 1)
    assert (np.abs(cosines) <= 1 + 1e-9).all()
    assert len(np.unique(cosines.round(6))) == 4
    flat = []
    small = used_weights(space, supernet, chosen[0])  # the largest uses all of it
    for architecture in (chosen[0], chosen[2]):
        supernet.zero_grad()
        F.cross_entropy(supernet(x, architecture), labels).backward()
        flat.append(
            torch.cat([p.grad[small[n]] for n, p in supernet.named_parameters() if n in small])
        )
    assert cosines[0, 2] == pytest.approx(F.cosine_similarity(*flat, dim=0).item(), abs=1e-5)


def test_opposite_losses_conflict_totally() -> None:
    space = searchspaces.load("vit_resnas:digits")
    supernet = space.build_supernet()
    x, labels = batch()
    shared = used_weights(space, supernet, smallest(space))
    there = gradient(supernet, smallest(space), x, against(labels))
    back = gradient(supernet, smallest(space), x, lambda logits: -F.cross_entropy(logits, labels))
    assert cosine(there, back, shared) == pytest.approx(-1.0)


def by_the_definition(student: torch.Tensor, target: torch.Tensor, alpha: float) -> torch.Tensor:
    """Alpha-divergence of one row each."""
    ratio = target / student
    if alpha == 1:
        return (student * ratio * ratio.log()).sum(1)
    return (student * (ratio**alpha - 1) / (alpha * (alpha - 1))).sum(1)


def test_the_adaptive_divergence_takes_for_each_image_the_gradient_of_the_larger() -> None:
    logits, target = (
        (torch.randn(64, 5) * 0.7).requires_grad_(),
        (torch.randn(64, 5) * 0.7).softmax(1),
    )
    adaptive_loss(logits, target, clip=1e9).backward()
    student = logits.detach().clone().requires_grad_()
    lacking, excessive = (
        by_the_definition(student.softmax(1), target, alpha) for alpha in (1.0, -1.0)
    )
    larger = torch.where(excessive > lacking, excessive, lacking)
    larger.mean().backward()
    picked = (excessive > lacking).float().mean().item()
    assert 0.1 < picked < 0.9
    assert logits.grad is not None
    assert (logits.grad - student.grad).abs().max() < 1e-6


def test_where_the_student_lacks_the_adaptive_loss_is_cross_entropy() -> None:
    target = torch.tensor([[0.25, 0.25, 0.25, 0.25]])
    logits = torch.tensor([[9.0, 0.0, 0.0, 0.0]])  # ratios far beyond the clip on the other side
    assert adaptive_loss(logits, target, clip=1.0).item() == pytest.approx(
        soft_loss(logits, target).item()
    )


def test_clipping_bounds_what_a_class_without_teacher_s_probability_does() -> None:
    logits = torch.tensor([[0.0, 5.0]], requires_grad=True)
    loss = adaptive_loss(logits, torch.tensor([[1.0, 0.0]]))
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 1] > 0


def test_equal_distributions_have_no_gradient_and_teachers_get_none() -> None:
    logits = torch.randn(6, 4, requires_grad=True)
    teacher = logits.detach().clone().requires_grad_()
    adaptive_loss(logits, teacher.softmax(1)).backward()
    assert logits.grad is not None
    assert logits.grad.abs().max() < 1e-6
    assert teacher.grad is None


def test_an_ensemble_is_the_mean_of_sharpened_probabilities() -> None:
    teachers = [nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.9))]
    x = torch.randn(5, 3)
    labels = ensemble_labels(teachers, x)
    expected = (
        sum((t[0] if isinstance(t, nn.Sequential) else t)(x).div(0.2).softmax(1) for t in teachers)
        / 2
    )
    assert torch.allclose(labels, expected)
    assert torch.allclose(labels.sum(1), torch.ones(5))
    assert not labels.requires_grad
    with pytest.raises(ValueError, match="0 teachers"):
        ensemble_labels([], x)


@pytest.mark.parametrize("name", ["elasticvit:digits", "vit_resnas:digits"])
def test_images_shared_by_subnets_come_back_in_their_order(name: str) -> None:
    space = searchspaces.load(name)
    supernet, (x, _) = space.build_supernet(), batch(7)
    chosen = [smallest(space), largest(space)]
    logits = image_logits(forward_together(supernet, supernet, chosen, {}, x))
    assert logits.shape == (7, 10)
    if name.startswith("elasticvit"):  # batch statistics are those of each subnet's own images
        for index, architecture in enumerate(chosen):
            torch.testing.assert_close(
                logits[index::2], supernet(x[index::2], architecture), rtol=1e-5, atol=1e-5
            )
    many = forward_together(supernet, supernet, chosen * 9, {}, x)
    assert image_logits(many).shape == (7, 10)


CASES = [("vit_resnas:digits", name) for name in samplers.names()] + [
    ("elasticvit:digits", "performance_aware")
]


@pytest.mark.parametrize(("name", "sampler"), CASES)
def test_a_training_resumed_in_the_middle_ends_with_the_same_weights(
    name: str, sampler: str, tmp_path: Path
) -> None:
    space = searchspaces.load(name)
    config = TrainConfig(
        epochs=0.06,
        batch_size=16,
        sampler=sampler,
        num_random=2,
        divergence="adaptive",
        checkpoint_every_seconds=0,
        keep_checkpoints=9,
    )
    whole = train_supernet(
        space, tasks.of(Digits(), config), config, seed=1, folder=tmp_path / "run"
    )
    done = sorted((tmp_path / "run").glob("step-*"))
    assert len(done) >= 4
    if sampler == "performance_aware":  # the loop fed the losses back
        banks = json.loads((done[-1] / "state.json").read_text(encoding="utf-8"))["sampler"][
            "banks"
        ]
        assert sum(len(bank) for bank in banks) >= 4
        assert all(score < 0 for bank in banks for _, score in bank)
    for folder in done[2:]:
        shutil.rmtree(folder)
    resumed = train_supernet(
        space, tasks.of(Digits(), config), config, seed=1, folder=tmp_path / "run"
    )
    for (parameter, a), b in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b), parameter
        assert a.isfinite().all()


def test_banks_are_scored_by_the_weights_of_the_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space: Any = searchspaces.load("elasticvit:digits")
    torch.manual_seed(0)
    supernet, x, y = space.build_supernet(), torch.randn(8, 1, 16, 16), torch.arange(8)
    chosen = [smallest(space), largest(space)]
    task = tasks.of(Digits(), TrainConfig())
    losses = subnet_losses(supernet, SingleProcess(), task, ImageBatch(x, y), chosen)
    assert losses == pytest.approx(
        [float(F.cross_entropy(supernet(x, a), y).detach()) for a in chosen]
    )
    assert all(parameter.grad is None for parameter in supernet.parameters())
    monkeypatch.setattr(performance_aware, "_LEAST_CAPACITIES", (2, 2))
    config = TrainConfig(
        epochs=1.5, batch_size=12, sampler="performance_aware", checkpoint_every_seconds=1e9
    )
    task = tasks.of(Digits(image_size=16, limit=240), config)
    train_supernet(space, task, config, seed=0, folder=tmp_path)
    (last,) = tmp_path.glob("step-*")
    assert (
        json.loads((last / "state.json").read_text(encoding="utf-8"))["sampler"]["refreshed"] > 0
    ), "the loop never had the banks scored anew"


def test_conflict_over_training_is_written_and_changes_nothing(tmp_path: Path) -> None:
    space, source = searchspaces.load("elasticvit:digits"), Digits(image_size=16, limit=48)
    config = TrainConfig(
        epochs=1.0,
        batch_size=12,
        sampler="performance_aware",
        log_every_steps=1,
        checkpoint_every_seconds=1e9,
    )
    task = tasks.of(source, config)
    plain = train_supernet(space, task, config, seed=0, folder=tmp_path / "plain").state_dict()
    watched = dataclasses.replace(config, conflict_every_steps=2)
    found = train_supernet(space, task, watched, seed=0, folder=tmp_path / "watched").state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in plain.items())
    lines = [
        json.loads(line)
        for line in (tmp_path / "watched" / "metrics.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    ]
    assert [("conflict" in line) for line in lines] == [True, False] * (len(lines) // 2)
    assert all(-1.0 <= value <= 1.0 for value in lines[0]["conflict"].values())
    assert lines[0]["conflict"].keys() == {"within", "between"}
