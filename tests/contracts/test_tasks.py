"""Every file of `training/tasks`: batches and losses are functions of the moment, a task
travels.
"""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import searchspaces
from evoray import data
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.tasks.base import Distillable, Examples, Moment, Task, weighted_sum
from evoray.training.tasks.text_detection import TextBatch
from searchspaces.base import smallest

DETECTORS: Any = searchspaces.load("nask_v2:small")
AT = Moment(seed=1, step=2, steps=9, steps_per_epoch=3, batch_size=8)
RECIPE = TrainConfig(crop_padding=2, mirror=True, distillation=False)
# data and a network, by task; masks of pictures for those that stand not here
FITTING: dict[str, tuple[Any, nn.Module]] = {
    "classification": (
        data.load("digits", image_size=16, limit=40),
        nn.Sequential(nn.Flatten(), nn.Linear(256, 10)),
    ),
    "text_detection": (
        data.load("text", image_size=64, limit=40),
        DETECTORS.build_subnet(None, smallest(DETECTORS)),
    ),
}
MASKS = (data.load("strokes", limit=40), nn.Conv2d(1, 2, 3, padding=1))


@pytest.fixture(params=tasks.names())
def case(request: pytest.FixtureRequest) -> tuple[Task, Examples, nn.Module]:
    source, network = FITTING.get(request.param, MASKS)
    task: Task = tasks.REGISTRY.module(request.param).build(source, RECIPE)
    return task, task.open(network, []), network


def same(one: Any, other: Any) -> bool:
    return all(map(torch.equal, contents(one), contents(other)))


def contents(batch: Any) -> list[torch.Tensor]:
    """Images and labels; of text the corners of its regions."""
    if not isinstance(batch, TextBatch):
        return [batch.inputs, batch.labels]
    corners = [one.polygon for some in batch.regions for one in some]
    return [batch.images, torch.tensor(np.concatenate([np.zeros((0, 2)), *corners]).sum(axis=0))]


def test_a_task_travels_and_knows_its_size(case: Any) -> None:
    task, _, _ = case
    assert task.num_examples == 40
    assert len(pickle.dumps(task)) < 10_000, "a worker opens the data, a task does not carry it"
    assert pickle.loads(pickle.dumps(task)).num_examples == 40


def test_a_batch_is_a_function_of_the_moment(case: Any) -> None:
    task, examples, network = case
    other = task.open(network, [])

    def batch(of: Examples, **changes: Any) -> Any:
        moment = dataclasses.replace(AT, **changes)
        return of.augment(of.batch(moment).to(torch.device("cpu")), moment)

    assert same(batch(examples), batch(other)), "another process draws another batch"
    batch(other, step=7)
    assert same(batch(examples), batch(other)), "a batch depends on those before it"
    for changes in ({"step": 3}, {"seed": 2}, {"restarts": 1}, {"rank": 1, "world_size": 2}):
        assert not same(batch(examples), batch(other, **changes)), changes
    assert len(contents(batch(examples, rank=1, world_size=2))[0]) == 4


def test_losses_are_scalars_with_gradients_and_say_the_same_twice(case: Any) -> None:
    task, examples, network = case
    batch = examples.augment(examples.batch(AT), AT)
    outputs = network(batch.inputs)
    parts = task.losses(outputs, batch)
    total = weighted_sum(parts, task.loss_weights(AT))
    assert all(part.shape == () for part in parts.values())
    assert torch.equal(total, weighted_sum(task.losses(outputs, batch), task.loss_weights(AT)))
    assert task.plain_loss(outputs, batch).isfinite()
    total.backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters())


def test_soft_labels_teach_and_get_no_gradients(case: Any) -> None:
    task, examples, network = case
    if not isinstance(task, Distillable):
        return
    batch = examples.batch(AT)
    teacher = network(batch.inputs)
    labels = task.soft_labels([teacher, teacher])
    assert not labels.requires_grad
    student = network(batch.inputs)
    (loss,) = task.soft_losses(student, batch, labels).values()
    (slope,) = torch.autograd.grad(loss, student)
    assert slope.abs().max() < 1e-6, "who says what the teacher says has learned it"
