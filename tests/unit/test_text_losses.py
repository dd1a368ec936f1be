"""Losses of both looks: finite whatever the batch holds, least where outputs are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evoray.training.tasks.parts.text_labels import batch_labels
from evoray.training.tasks.parts.text_losses import (
    LOSS_PARTS,
    balanced_cross_entropy,
    dice_loss,
    geometry_losses,
    map_losses,
)
from evoray.training.tasks.parts.text_rois import roi_labels, training_rois
from objectives.parts.text.regions import TextRegion
from tests.text_scenes import arc, box

WORDS = [TextRegion(arc()), TextRegion(box(190, 64, 80, 30))]
CASES = {
    "text": [WORDS, WORDS[:1]],
    "no text": [[], []],
    "don't care alone": [[TextRegion(box(128, 64, 300, 200), ignored=True)]] * 2,
    "text everywhere": [[TextRegion(box(128, 64, 300, 200))]] * 2,
}


@pytest.mark.parametrize("case", CASES)
def test_every_part_is_there_and_finite_with_a_finite_gradient(case: str) -> None:
    maps, lines = batch_labels(CASES[case], (128, 256))
    rois = torch.from_numpy(training_rois(lines, np.zeros((0, 7)), np.random.default_rng(0)))
    labels = roi_labels(lines, rois, (16, 64))
    logits = torch.randn(2, 2, 32, 64, generator=torch.Generator().manual_seed(0))
    geometry = torch.randn(len(rois), 6, 16, 64, generator=torch.Generator().manual_seed(1))
    logits.requires_grad_()
    geometry.requires_grad_()
    parts = map_losses(logits, maps) | geometry_losses(geometry, labels)
    assert tuple(parts) == LOSS_PARTS
    assert all(part.isfinite() and part.ndim == 0 for part in parts.values())
    sum(parts.values()).backward()  # type: ignore[union-attr]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert geometry.grad is not None
    assert geometry.grad.isfinite().all()
    if case == "no text":
        assert (logits.grad != 0).any()
    if case == "don't care alone":
        assert not logits.grad.any()


def test_outputs_that_are_right_lose_nothing() -> None:
    maps, lines = batch_labels([WORDS], (128, 256))
    rois = torch.from_numpy(training_rois(lines, np.zeros((0, 7)), np.random.default_rng(0)))
    labels = roi_labels(lines, rois, (16, 64))
    logits = 40.0 * torch.stack([maps.text, maps.kernel], dim=1) - 20.0
    right = map_losses(logits, maps) | geometry_losses(labels.as_geometry(), labels)
    assert all(float(part) < 1e-5 for part in right.values())
    wrong = map_losses(-logits, maps) | geometry_losses(-labels.as_geometry(), labels)
    assert all(float(part) > 0.5 for part in wrong.values())


def test_three_hard_negatives_stand_against_each_positive_pixel() -> None:
    logits = torch.tensor([[0.0, 3.0, 2.0, 1.0, -9.0, 9.0]])
    target = torch.tensor([[1.0, 0, 0, 0, 0, 0]])
    mask = torch.tensor([[1.0, 1, 1, 1, 1, 0]])
    hard = torch.nn.functional.softplus(torch.tensor([0.0, 3.0, 2.0, 1.0])).sum() / 4
    assert balanced_cross_entropy(logits, target, mask) == pytest.approx(float(hard))


def test_a_hundred_negatives_stand_where_nothing_is_positive() -> None:
    logits = torch.zeros(1, 200)
    logits[0, :100] = 5.0
    found = balanced_cross_entropy(logits, torch.zeros(1, 200), torch.ones(1, 200))
    assert found == pytest.approx(float(torch.nn.functional.softplus(torch.tensor(5.0))))


def test_dice_counts_areas_inside_the_mask() -> None:
    target = torch.tensor([[1.0, 1, 0, 0]])
    logits = torch.tensor([[20.0, -20, 20, 20]])
    mask = torch.tensor([[1.0, 1, 1, 0]])
    assert dice_loss(logits, target, mask) == pytest.approx(1 - 3 / 5)


def test_the_scale_is_judged_relative_to_the_text() -> None:
    _, lines = batch_labels([WORDS], (128, 256))
    rois = torch.from_numpy(training_rois(lines, np.zeros((0, 7)), np.random.default_rng(0)))
    labels = roi_labels(lines, rois, (16, 64))
    outputs = labels.as_geometry()
    outputs[:, 1] *= 1.2
    assert geometry_losses(outputs, labels)["scale"] == pytest.approx(0.5 * 0.2**2, rel=1e-3)
