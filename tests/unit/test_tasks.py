"""Tasks in training: masks move with their images, and a task of another kind goes through the
loop, its checkpoints and a group of ranks as classification does.
"""

from __future__ import annotations

import dataclasses
import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from evoray import data
from evoray.training import checkpoints, tasks
from evoray.training.config import TrainConfig
from evoray.training.loop import train_network, train_supernet
from evoray.training.recipe.augmentation import Moves
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.tasks.base import EpochOrder, Moment, weighted_sum
from tests.two_heads import RECIPE, Clouds, TwoHeads, TwoHeadSpace, train_rank

CPU = torch.device("cpu")
AT = Moment(seed=3, step=0, steps=20, steps_per_epoch=4, batch_size=12)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_source_says_which_task_it_is_for() -> None:
    assert tasks.names() == ["classification", "segmentation", "text_detection"]
    kinds = {name: tasks.of(data.load(name), TrainConfig()) for name in ("digits", "strokes")}
    hard = dataclasses.replace(TrainConfig(), distillation=False)
    kinds["text"] = tasks.of(data.load("text"), hard)
    assert {n: (t.name, t.validated_by) for n, t in kinds.items()} == {
        "digits": ("classification", "accuracy"),
        "strokes": ("segmentation", "iou"),
        "text": ("text_detection", "detection"),
    }
    assert pickle.loads(pickle.dumps(kinds["strokes"])) == kinds["strokes"]
    odd = dataclasses.replace(data.load("strokes"), task="segmentatoin")  # type: ignore[type-var]
    with pytest.raises(ValueError, match="no task 'segmentatoin'; did you mean 'segmentation'"):
        tasks.of(odd, TrainConfig())


@pytest.mark.parametrize("wrong", [{"mixing": "images"}, {"rand_augment": 9}, {"erasing": 0.1}])
def test_pixels_keep_their_classes(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"'strokes' has a class for every pixel.*mixing 'none'"):
        tasks.of(data.load("strokes"), TrainConfig(**wrong))


def test_masks_move_with_their_images() -> None:
    recipe = TrainConfig(crop_padding=3, mirror=True)
    task = tasks.of(data.load("strokes", limit=24), recipe)
    examples = task.open(torch.nn.Identity(), [])
    plain = examples.batch(AT)
    assert isinstance(plain, ImageBatch)
    pixels = plain.labels.float()[:, None]  # what the mask shows is in the image too
    moved = examples.augment(ImageBatch(pixels, plain.labels), AT)
    assert torch.equal(moved.labels, moved.inputs[:, 0].long())
    assert not torch.equal(moved.labels, plain.labels)
    again, later = (
        examples.augment(plain, dataclasses.replace(AT, step=step)).labels for step in (0, 1)
    )
    assert torch.equal(again, moved.labels)
    assert not torch.equal(later, moved.labels)


def test_moves_repeat_edges_and_draw_as_they_always_have() -> None:
    x = torch.arange(25.0).view(1, 1, 5, 5)
    draw = Moves.draw(1, torch.Generator().manual_seed(0), crop_padding=2, mirror=True)
    assert draw.corners is not None
    top, left = draw.corners.flatten().tolist()
    padded = torch.nn.functional.pad(x, [2] * 4, mode="replicate")
    expected = padded[:, :, top : top + 5, left : left + 5]
    assert draw.flipped is not None
    assert torch.equal(draw.of(x), expected.flip(3) if draw.flipped.item() else expected)
    still = Moves.draw(1, torch.Generator(), crop_padding=0, mirror=False)
    assert still.of(x) is x


def test_an_epoch_has_every_example_once_and_ranks_divide_it() -> None:
    order = EpochOrder(48)
    moments = [dataclasses.replace(AT, step=step) for step in range(8)]
    first, second = (
        torch.cat([order.chosen(m) for m in part]) for part in (moments[:4], moments[4:])
    )
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(48))
    assert not torch.equal(first, second)
    ranks = [order.chosen(dataclasses.replace(AT, rank=rank, world_size=2)) for rank in range(2)]
    assert torch.equal(torch.stack(ranks, dim=1).flatten(), order.chosen(AT))
    assert not torch.equal(order.chosen(AT), order.chosen(dataclasses.replace(AT, restarts=1)))


def test_parts_without_a_weight_count_once() -> None:
    parts = {"a": torch.tensor(1.0), "b": torch.tensor(2.0), "c": torch.tensor(4.0)}
    assert weighted_sum(parts, {}).item() == 7.0
    assert weighted_sum(parts, {"b": 0.5, "elsewhere": 9.0}).item() == 6.0


def test_a_task_of_two_heads_trains_and_shows_the_parts_of_its_loss(tmp_path: Path) -> None:
    network = TwoHeads(16)
    untouched = network.spread.weight.detach().clone()
    recipe = dataclasses.replace(RECIPE, epochs=30.0, dropout=0.0)
    train_network(network, Clouds(), recipe, seed=0, folder=tmp_path)
    assert not torch.equal(network.spread.weight, untouched)
    lines = lines_of(tmp_path)
    assert lines[0]["loss"].keys() == {"network", "network mean", "network spread"}
    for line in lines:
        loss, weight = line["loss"], min(1.0, 2.0 * (line["step"] - 1) / line["steps"])
        expected = loss["network mean"] + weight * loss["network spread"]
        assert loss["network"] == pytest.approx(expected, rel=1e-5)
    for part in ("network mean", "network spread"):
        early, late = (
            sum(line["loss"][part] for line in half) for half in (lines[:20], lines[-20:])
        )
        assert late < 0.7 * early, part


def test_a_task_of_two_heads_resumes_to_the_same_weights(tmp_path: Path) -> None:
    space = TwoHeadSpace()
    expected = train_supernet(space, Clouds(), RECIPE, seed=1, folder=tmp_path).state_dict()
    before = lines_of(tmp_path)
    assert before[0]["loss"].keys() >= {"largest", "largest mean", "smallest spread"}
    for later in sorted(tmp_path.glob("step-*"))[7:]:
        shutil.rmtree(later)
    found = train_supernet(space, Clouds(), RECIPE, seed=1, folder=tmp_path).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert [line["loss"] for line in lines_of(tmp_path)] == [line["loss"] for line in before]


def test_two_ranks_train_a_task_of_two_heads_as_one_does(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(train_rank, (str(tmp_path), 2), nprocs=2)  # type: ignore[attr-defined,no-untyped-call]
    weights, _ = checkpoints.load_weights(tmp_path / "supernet")
    alone = train_supernet(
        TwoHeadSpace(), Clouds(), RECIPE, seed=1, folder=tmp_path / "alone"
    ).state_dict()
    assert weights.keys() == alone.keys()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights.values())
    both, one = (lines_of(tmp_path / name) for name in ("supernet", "alone"))
    assert len(both) == len(one) == 20
    for name in ("largest mean", "largest spread"):  # dropout and shifts are a rank's own
        totals = [sum(line["loss"][name] for line in lines) for lines in (both, one)]
        assert totals[0] == pytest.approx(totals[1], rel=0.5)


def test_teaching_needs_soft_labels_and_teachers_a_task_that_takes_them(tmp_path: Path) -> None:
    taught = dataclasses.replace(RECIPE, distillation=True)
    with pytest.raises(ValueError, match="task 'clouds' has no soft labels: set it to False"):
        train_supernet(TwoHeadSpace(), Clouds(), taught, seed=1, folder=tmp_path)
    teachers = [TwoHeads(4)]
    with pytest.raises(ValueError, match="clouds have no teachers"):
        train_network(TwoHeads(4), Clouds(), RECIPE, seed=1, teachers=teachers)
