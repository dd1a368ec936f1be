"""Supernet training in one process: the sandwich rule, distillation, regularisers, schedule,
checkpoints.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import json
import logging
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import searchspaces
from evoray import data
from evoray.data.digits import Digits
from evoray.results.export import export
from evoray.training import checkpoints, loop, samplers, tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import train_network, train_supernet
from evoray.training.process_group import SingleProcess
from evoray.training.recipe.augmentation import augment, distort
from evoray.training.recipe.distillation import hard_loss, soft_labels, soft_loss
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.recipe.schedules import (
    decay_epochs_for,
    exponential_with_floor,
    learning_rate_at,
)
from evoray.training.recipe.teachers import Teacher
from evoray.training.resumable_loop import StepReport
from evoray.training.step import ForwardPass, StepLosses, Stepper, clip_adaptively
from evoray.training.supernet_step import supernet_forward_passes
from evoray.training.tasks.base import Moment
from searchspaces.base import largest, smallest

CONFIG = TrainConfig(
    epochs=1.0,
    batch_size=24,
    learning_rate=0.05,
    warmup_epochs=0.2,
    checkpoint_every_seconds=1e9,
    log_every_steps=1,
)
SPACE: Any = dataclasses.replace(searchspaces.load("bignas:digits"), resolutions=(16,))  # type: ignore[type-var]
SOURCE = data.load("digits", limit=120, image_size=16)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def supernet_after(folder: Path, **changes: Any) -> dict[str, torch.Tensor]:
    config = dataclasses.replace(CONFIG, **changes)
    return train_supernet(
        SPACE, tasks.of(SOURCE, config), config, seed=1, folder=folder
    ).state_dict()


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def batch(size: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    split = SOURCE.open("train")
    return split.images(range(size)), split.labels[:size]


MOMENT = Moment(seed=1, step=0, steps=5, steps_per_epoch=5, batch_size=24)


def gradients_of(
    stepper: Stepper,
    config: TrainConfig,
    passes: list[ForwardPass],
    x: torch.Tensor,
    y: torch.Tensor,
    outside: torch.Tensor | None = None,
    hard_share: float = 0.0,
) -> list[float]:
    batch = ImageBatch(x, y, outside=outside, hard_share=hard_share)
    losses = stepper.gradients(passes, tasks.of(SOURCE, config), batch, MOMENT)
    assert losses.parts == [{}] * len(passes), "a loss of one part has no other name"
    return losses.totals


def passes_of(supernet: nn.Module, config: TrainConfig, step: int = 0) -> list[ForwardPass]:
    sampler = samplers.load("sandwich", SPACE, seed=1, num_random=config.num_random)
    return supernet_forward_passes(
        supernet, supernet, sampler, config, largest(SPACE), smallest(SPACE), step
    )


def quiet(config: TrainConfig = CONFIG, **changes: Any) -> TrainConfig:
    return dataclasses.replace(config, dropout=0.0, drop_connect=0.0, **changes)


def test_a_sandwich_step_is_four_passes_and_its_gradient_the_sum_of_theirs() -> None:
    supernet, config = SPACE.build_supernet(), quiet()
    forward_passes = passes_of(supernet, config)
    assert [p.name for p in forward_passes] == ["largest", "random", "random", "smallest"]
    assert [p.teaches for p in forward_passes] == [True, False, False, False]
    x, y = batch()
    stepper = Stepper(supernet, config, SingleProcess(), torch.device("cpu"))
    gradients_of(stepper, config, forward_passes, x, y)
    summed = {n: p.grad.clone() for n, p in supernet.named_parameters() if p.grad is not None}
    with torch.no_grad():
        teacher = soft_labels(forward_passes[0].forward(x))
    total = {n: torch.zeros_like(p) for n, p in supernet.named_parameters()}
    for one in forward_passes:
        supernet.zero_grad(set_to_none=True)
        logits = one.forward(x)
        (
            hard_loss(logits, y, config.label_smoothing)
            if one.teaches
            else soft_loss(logits, teacher)
        ).backward()
        for name, parameter in supernet.named_parameters():
            if parameter.grad is not None:
                total[name] += parameter.grad
    assert all(torch.allclose(summed[n], total[n], atol=1e-5) for n in summed)


def test_only_the_biggest_learns_from_labels() -> None:
    supernet, config = SPACE.build_supernet(), quiet()
    stepper = Stepper(supernet, config, SingleProcess(), torch.device("cpu"))
    x, y = batch()
    forward_passes = passes_of(supernet, config)
    losses, shuffled = (
        gradients_of(stepper, config, forward_passes, x, y),
        gradients_of(stepper, config, forward_passes, x, y.roll(1)),
    )
    assert losses[0] != shuffled[0]
    assert losses[1:] == shuffled[1:]


def test_without_distillation_all_learn_from_labels() -> None:
    supernet, config = SPACE.build_supernet(), quiet(distillation=False)
    stepper = Stepper(supernet, config, SingleProcess(), torch.device("cpu"))
    x, y = batch()
    forward_passes = passes_of(supernet, config)
    losses, shuffled = (
        gradients_of(stepper, config, forward_passes, x, y),
        gradients_of(stepper, config, forward_passes, x, y.roll(1)),
    )
    assert all(a != b for a, b in zip(losses, shuffled, strict=True))


@pytest.mark.parametrize("name", ["complexity_aware", "performance_aware"])
def test_the_smallest_of_a_level_learns_from_the_mean_of_the_others(name: str) -> None:
    supernet, config = SPACE.build_supernet(), quiet()
    sampler = samplers.load(name, SPACE, seed=1, num_random=3)
    forward_passes = supernet_forward_passes(
        supernet, supernet, sampler, config, largest(SPACE), smallest(SPACE), 0
    )
    assert [(p.teaches, p.learns) for p in forward_passes] == [(True, False)] * 3 + [(False, True)]
    x, y = batch()
    stepper = Stepper(supernet, config, SingleProcess(), torch.device("cpu"))
    losses = gradients_of(stepper, config, forward_passes, x, y)
    with torch.no_grad():
        mean = torch.stack([soft_labels(p.forward(x)) for p in forward_passes[:3]]).mean(dim=0)
        assert losses[3] == pytest.approx(
            float(soft_loss(forward_passes[3].forward(x), mean)), rel=1e-5
        )


def test_adaptive_clipping_scales_the_units_whose_gradient_is_too_large_for_their_weights() -> None:
    weight, bias = (
        nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 0.0]])),
        nn.Parameter(torch.tensor([6.0, 8.0])),
    )
    weight.grad, bias.grad = torch.tensor([[0.0, 10.0], [0.3, 0.4]]), torch.tensor([0.6, 0.8])
    clip_adaptively([weight, bias, nn.Parameter(torch.ones(2))], 0.1)
    assert torch.allclose(weight.grad, torch.tensor([[0.0, 0.5], [0.6e-4, 0.8e-4]]))
    assert torch.allclose(bias.grad, torch.tensor([0.6, 0.8]))


def test_soft_cross_entropy_has_the_gradient_of_the_batch_mean_kl_and_none_for_the_teacher() -> (
    None
):
    torch.manual_seed(0)
    teacher_logits = torch.randn(5, 7, requires_grad=True)
    student = torch.randn(5, 7, requires_grad=True)
    teacher = soft_labels(teacher_logits)
    soft_loss(student, teacher).backward()
    assert not teacher.requires_grad
    assert teacher_logits.grad is None
    other = student.detach().clone().requires_grad_()
    nn.functional.kl_div(other.log_softmax(1), teacher, reduction="batchmean").backward()
    assert student.grad is not None
    assert other.grad is not None
    assert torch.allclose(student.grad, other.grad, atol=1e-6)


def test_regularisers_act_on_the_biggest_only() -> None:
    supernet = SPACE.build_supernet()
    for block in supernet.modules():  # zero-gamma would hide drop-connect
        if isinstance(block, nn.Module) and hasattr(block, "project_norm"):
            nn.init.ones_(block.project_norm.weight)
    forward_passes = passes_of(supernet, dataclasses.replace(CONFIG, drop_connect=0.5, dropout=0.5))
    x, _ = batch()
    differs = [not torch.equal(p.forward(x), p.forward(x)) for p in forward_passes]
    assert differs == [True, False, False, False]


def test_weight_decay_is_applied_once_a_step_and_to_weights_only() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    nn.init.constant_(module[0].bias, 1.0)  # type: ignore[arg-type]
    before = copy.deepcopy(module.state_dict())
    config = quiet(weight_decay=0.1, momentum=0.0, clip_norm=0.0)
    stepper = Stepper(module, config, SingleProcess(), torch.device("cpu"))
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    stepper.step(0.5)
    assert torch.allclose(module[0].weight, before["0.weight"] * (1 - 0.5 * 0.1))
    assert torch.equal(module[0].bias, before["0.bias"])
    assert torch.equal(module[1].weight, before["1.weight"])


def test_the_papers_schedule_reaches_its_floor_at_epoch_236() -> None:
    def rate(epoch: float) -> float:
        return exponential_with_floor(
            epoch, learning_rate=0.256, decay_rate=0.97, decay_epochs=2.4, floor=0.05
        )

    assert rate(2.4) / rate(0) == pytest.approx(0.97)
    assert rate(236.04) > 0.256 * 0.05
    assert rate(236.06) == rate(360) == pytest.approx(0.256 * 0.05)
    assert decay_epochs_for(360, decay_rate=0.97, floor=0.05) == pytest.approx(2.4, abs=1e-4)


def test_the_schedule_warms_up_and_never_rises_after() -> None:
    config = dataclasses.replace(CONFIG, epochs=30.0, warmup_epochs=2.0)
    rates = [learning_rate_at(step, config, 10) for step in range(300)]
    assert rates[0] == pytest.approx(0.1 * config.learning_rate)
    assert all(a < b for a, b in itertools.pairwise(rates[:21]))
    assert all(a >= b for a, b in itertools.pairwise(rates[20:]))
    assert rates[-1] == pytest.approx(config.floor * config.learning_rate)


def test_a_cosine_falls_from_the_rate_to_its_floor() -> None:
    config = dataclasses.replace(
        CONFIG, schedule="cosine", epochs=11.0, warmup_epochs=1.0, learning_rate=2.0, floor=0.1
    )
    assert learning_rate_at(10, config, 10) == 2.0
    assert learning_rate_at(60, config, 10) == pytest.approx(1.1)
    assert learning_rate_at(110, config, 10) == pytest.approx(0.2)


def test_augmentation_shifts_mirrors_and_depends_on_its_generator_alone() -> None:
    x = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).view(2, 3, 8, 8)
    draw = [
        augment(x, torch.Generator().manual_seed(s), crop_padding=2, mirror=True) for s in (0, 0, 1)
    ]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])
    assert torch.equal(augment(x, torch.Generator(), crop_padding=0, mirror=False), x)
    shifted = augment(x, torch.Generator().manual_seed(3), crop_padding=2, mirror=False)
    rows = {tuple(row) for row in x[0, 0].tolist()}
    inner = shifted[0, 0, :, 2:-2]
    assert any(set(inner[4].tolist()) <= set(row) for row in rows)


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = supernet_after(tmp_path / "whole")
    real, calls = loop.Training.train, []

    def interrupted(self: loop.Training, step: int, restarts: int) -> StepReport | None:
        calls.append(step)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, step, restarts)

    monkeypatch.setattr(loop.Training, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        supernet_after(tmp_path / "cut", checkpoint_every_seconds=0.0)
    assert equal(supernet_after(tmp_path / "cut"), expected)
    assert calls == [0, 1, 2, 3, 3, 4]
    steps = [
        json.loads(line)["step"]
        for line in (tmp_path / "cut" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert steps == [1, 2, 3, 4, 5]


def test_a_damaged_checkpoint_is_named_and_set_aside_and_the_older_one_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = supernet_after(tmp_path, checkpoint_every_seconds=0.0)
    newest = sorted(tmp_path.glob("step-*"))[-1]
    weights = newest / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-10] ^= 0xFF
    weights.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert equal(supernet_after(tmp_path), expected)
    assert f"checkpoint {newest} is damaged" in caplog.text
    assert (tmp_path / f"damaged-{newest.name}").is_dir()


def test_a_finished_training_is_not_repeated_and_old_checkpoints_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = supernet_after(tmp_path, checkpoint_every_seconds=0.0, keep_checkpoints=2)
    assert len(list(tmp_path.glob("step-*"))) == 2
    monkeypatch.setattr(
        loop.Training, "train", lambda self, step, restarts: pytest.fail("it trained again")
    )
    assert equal(supernet_after(tmp_path), expected)
    loaded, digest = checkpoints.load_weights(tmp_path)
    assert equal(loaded, expected)
    assert len(digest) == 16


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    supernet_after(tmp_path)
    with pytest.raises(ValueError, match="of another training"):
        supernet_after(tmp_path, epochs=2.0)


def test_a_loss_that_is_not_finite_restarts_from_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = Stepper.gradients, []

    def sometimes(self: Stepper, *args: Any, **options: Any) -> StepLosses:
        losses = real(self, *args, **options)
        broken.append(1)
        if len(broken) == 3:
            losses.totals[0] = math.nan
        return losses

    monkeypatch.setattr(Stepper, "gradients", sometimes)
    weights = supernet_after(tmp_path, checkpoint_every_seconds=0.0)
    lines = [
        json.loads(line)
        for line in (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["restarts"] for line in lines] == [0, 0, 1, 1, 1]
    assert all(torch.isfinite(w).all() for w in weights.values())


def test_training_that_always_diverges_stops_and_says_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        Stepper,
        "gradients",
        lambda self, forward_passes, *rest: StepLosses([math.inf] * len(forward_passes), []),
    )
    with pytest.raises(
        RuntimeError,
        match=r"diverged: the loss or its gradient was not finite at step 1.* lower "
        r"train.learning-rate",
    ):
        supernet_after(tmp_path)
    assert not list(tmp_path.glob("step-*"))


class Spoiling(torch.autograd.Function):
    """Passes values on, and a gradient that is infinite."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return gradient * math.inf


class Summing:
    """Rank 0 of two; the other one's gradients and losses are zeros but for one infinite value."""

    rank, world_size = 0, 2

    def add_up(self, tensor: torch.Tensor) -> None:
        tensor[-1] += math.inf


@pytest.mark.parametrize("clip", [{"clip_norm": 0.0}, {"clip_norm": 5.0}, {"adaptive_clip": 0.01}])
@pytest.mark.parametrize("group", [SingleProcess(), Summing()])
def test_a_gradient_that_is_not_finite_changes_no_weight_though_the_loss_is(
    clip: dict[str, float], group: Any
) -> None:
    network = nn.Linear(4, 3)
    before = copy.deepcopy(network.state_dict())
    forward = network if isinstance(group, Summing) else nn.Sequential(network, _Spoilt())
    stepper = Stepper(network, dataclasses.replace(CONFIG, **clip), group, torch.device("cpu"))
    labels = torch.zeros(5, dtype=torch.long)
    passes = [ForwardPass("network", forward)]
    losses = gradients_of(stepper, CONFIG, passes, torch.rand(5, 4), labels)
    assert all(map(math.isfinite, losses))
    assert not stepper.step(0.1)
    assert equal(network.state_dict(), before)
    assert not stepper.optimizer.state


class _Spoilt(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spoilt: torch.Tensor = Spoiling.apply(x)  # type: ignore[no-untyped-call]
        return spoilt


def test_a_gradient_that_is_not_finite_restarts_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Stepper.gradients, []

    def sometimes(self: Stepper, *args: Any, **options: Any) -> StepLosses:
        losses = real(self, *args, **options)
        calls.append(1)
        if len(calls) == 3:
            self._parameters[0].grad = torch.full_like(self._parameters[0], math.nan)
        return losses

    monkeypatch.setattr(Stepper, "gradients", sometimes)
    weights = supernet_after(tmp_path, checkpoint_every_seconds=0.0)
    assert all(bool(torch.isfinite(w).all()) for w in weights.values())
    last = checkpoints.latest(tmp_path)
    assert last is not None
    assert last.state["rng"]["restarts"] == 1


def test_a_restart_that_fails_again_goes_back_one_checkpoint_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, begun, bad = loop.Training.train, [], []

    def failing(self: loop.Training, step: int, restarts: int) -> StepReport | None:
        begun.append(step)
        if step == 3 and len(bad) < 2:
            bad.append(step)
            return None
        return real(self, step, restarts)

    monkeypatch.setattr(loop.Training, "train", failing)
    supernet_after(tmp_path, checkpoint_every_seconds=0.0, keep_checkpoints=3)
    assert begun == [0, 1, 2, 3, 3, 2, 3, 4]
    assert (tmp_path / "diverged-step-00000003").is_dir()
    assert [place.name for place in sorted(tmp_path.glob("step-*"))][-1] == "step-00000005"


def test_the_global_generator_is_left_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    supernet_after(tmp_path)
    assert torch.equal(torch.rand(1), expected)


def test_a_network_alone_learns(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SPACE.build_subnet(None, smallest(SPACE))
    x, y = batch(100)
    before = hard_loss(network.train()(x), y, 0.0).item()
    config = dataclasses.replace(CONFIG, epochs=8.0)
    train_network(network, tasks.of(SOURCE, config), config, seed=0)
    assert hard_loss(network.train()(x), y, 0.0).item() < before


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"dropout": 1.0},
        {"floor": 0.0},
        {"num_random": -1},
        {"learning_rate": -1},
    ],
)
def test_impossible_recipes_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"train.{next(iter(wrong))}"):
        TrainConfig(**wrong)  # type: ignore[arg-type]


def test_averaged_weights_are_what_a_checkpoint_holds_and_training_goes_on_with_its_own(
    tmp_path: Path,
) -> None:
    plain = supernet_after(tmp_path / "plain")
    expected = supernet_after(tmp_path / "whole", average_decay=0.8)
    assert not equal(expected, plain)
    assert equal(checkpoints.load_weights(tmp_path / "whole")[0], expected)
    supernet_after(
        tmp_path / "cut", average_decay=0.8, checkpoint_every_seconds=0.0, keep_checkpoints=9
    )
    for newest in sorted((tmp_path / "cut").glob("step-*"))[2:]:
        shutil.rmtree(newest)
    assert equal(supernet_after(tmp_path / "cut", average_decay=0.8), expected)
    last = checkpoints.latest(tmp_path / "whole")
    assert last is not None
    trained = {
        name.removesuffix("/trained"): t
        for name, t in last.optimizer().items()
        if name.endswith("/trained")
    }
    assert equal(trained, plain), "averaging has changed what is trained"


def test_teachers_from_outside_take_the_place_of_hard_labels_and_one_shares_it(
    tmp_path: Path,
) -> None:
    supernet, config = SPACE.build_supernet(), quiet()
    stepper = Stepper(supernet, config, SingleProcess(), torch.device("cpu"))
    x, y = batch()
    forward_passes = passes_of(supernet, config)
    hard = gradients_of(stepper, config, forward_passes, x, y)
    outside = torch.rand(len(y), 10).softmax(dim=1)
    soft = gradients_of(stepper, config, forward_passes, x, y, outside)
    both = gradients_of(stepper, config, forward_passes, x, y, outside, hard_share=0.5)
    assert soft == gradients_of(stepper, config, forward_passes, x, y.roll(1), outside)
    assert both[0] == pytest.approx(0.5 * (hard[0] + soft[0]), rel=1e-5)
    assert soft[1:] == hard[1:], "what the largest teaches does not depend on who teaches it"


def test_an_exported_network_teaches(tmp_path: Path) -> None:
    teacher = SPACE.build_subnet(None, smallest(SPACE)).eval()
    export(teacher, smallest(SPACE), SPACE, SOURCE.image_shape, "safetensors", tmp_path / "teacher")
    x, _ = batch()
    loaded = Teacher(tmp_path / "teacher", SPACE).load()
    with torch.no_grad():
        assert torch.allclose(loaded(x), teacher(x), atol=1e-5)
    plain = supernet_after(tmp_path / "plain")
    taught = train_supernet(
        SPACE,
        tasks.of(SOURCE, CONFIG),
        CONFIG,
        seed=1,
        folder=tmp_path / "taught",
        teachers=[loaded],
    ).state_dict()
    assert not equal(plain, taught)


@pytest.mark.parametrize("optimizer", ["rmsprop", "adamw"])
def test_other_optimizers_resume_too(tmp_path: Path, optimizer: str) -> None:
    expected = supernet_after(tmp_path / "whole", optimizer=optimizer, learning_rate=0.001)
    supernet_after(
        tmp_path / "cut",
        optimizer=optimizer,
        learning_rate=0.001,
        checkpoint_every_seconds=0.0,
        keep_checkpoints=9,
    )
    for newest in sorted((tmp_path / "cut").glob("step-*"))[2:]:
        for file in newest.iterdir():
            file.unlink()
        newest.rmdir()
    assert equal(
        supernet_after(tmp_path / "cut", optimizer=optimizer, learning_rate=0.001), expected
    )


def test_distorted_images_keep_their_scale_and_follow_their_seed() -> None:
    """RandAugment's colours are of pictures, so a batch goes back to 0 to 1 and forth."""
    x = (torch.rand(20, 3, 16, 16) - 0.5) / 0.25
    normal = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    state = torch.get_rng_state()
    first, again, other = (
        distort(x, seed, magnitude=9, erasing=0.5, **normal) for seed in (1, 1, 2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    plain = distort(x, 1, magnitude=9, erasing=0.0, **normal)
    assert plain.abs().max() <= 2.0 + 1e-5
    assert all(
        not torch.equal(part, before)
        for part, before in zip(plain.split(8)[:2], x.split(8)[:2], strict=True)
    )
    erased = (distort(x, 3, magnitude=0, erasing=0.5, **normal) != x).flatten(1).any(dim=1)
    assert 4 <= int(erased.sum()) <= 16
    torch.testing.assert_close(distort(x, 4, magnitude=0, erasing=0.0, **normal), x)


def test_only_pictures_are_distorted(tmp_path: Path) -> None:
    class Bare:
        name, num_classes, image_shape = "bare", 10, (1, 16, 16)

        def open(self, split: str) -> Any:
            return Digits(image_size=16, limit=24).open(split)

    config = TrainConfig(epochs=1.0, batch_size=12, erasing=0.1)
    with pytest.raises(ValueError, match="data 'bare' has no mean and std: set both to 0"):
        tasks.of(Bare(), config)
    config = dataclasses.replace(config, rand_augment=9)
    task = tasks.of(Digits(image_size=16, limit=24), config)
    train_supernet(SPACE, task, config, seed=0, folder=tmp_path)
