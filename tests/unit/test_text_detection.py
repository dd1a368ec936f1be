"""Detection of text as a task and as objectives: labels for every resolution, proposals mixed in,
one forward pass for all decoding genes, detections that are kept.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, cast

import numpy as np
import pytest
import torch

import searchspaces
from evoray import data
from evoray.training.config import TrainConfig
from evoray.training.loop import train_network, train_supernet
from evoray.training.recipe.loss_schedule import SECOND_LOOK, LossSchedule
from evoray.training.recipe.text_augmentation import TextAugmentation
from evoray.training.tasks.base import Moment
from evoray.training.tasks.text_detection import TextBatch, TextDetection
from jobs import nask
from objectives import detection
from objectives.base import BuiltCandidate, Candidate
from objectives.detection.kept import FILE, read_parquet
from objectives.detection.objective import DetectionQuality, settings_of
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import TextRegion
from searchspaces.base import architectures, smallest

SPACE: Any = searchspaces.load("nask_v1:small")
SOURCE: Any = data.load("text", image_size=64, limit=24)
RECIPE = TrainConfig(
    sampler="uniform", num_random=2, distillation=False, optimizer="adamw", batch_size=8,
    crop_padding=0, epochs=1.0, learning_rate=3e-3, log_every_steps=1,
)  # fmt: skip
AT = Moment(seed=1, step=2, steps=9, steps_per_epoch=3, batch_size=8)


def square(x: float, y: float, side: float, **others: Any) -> TextRegion:
    corners = np.array([[x, y], [x + 2 * side, y], [x + 2 * side, y + side], [x, y + side]])
    return TextRegion(corners, **others)


def batch(*regions: TextRegion, **others: Any) -> TextBatch:
    return TextBatch(torch.zeros(1, 3, 64, 64), (tuple(regions),), **others)


def network() -> Any:
    torch.manual_seed(0)
    return SPACE.build_subnet(None, smallest(SPACE))


def test_labels_are_those_of_the_networks_own_resolution() -> None:
    one = batch(square(8, 16, 16))
    small, large = (one.labels((side, side))[0].text for side in (8, 16))
    assert (small.shape, large.shape) == ((1, 8, 8), (1, 16, 16))
    assert abs(float(small.mean()) - float(large.mean())) < 0.1
    assert one.labels((8, 8))[0] is one.labels((8, 8))[0], "made once for all networks"


def test_the_second_look_is_trained_on_annotated_rectangles_and_later_on_proposals() -> None:
    seen = torch.full((1, 2, 16, 16), -9.0)
    seen[:, :, 5:7, 3:9] = 9.0  # a kernel in the middle of the text
    text = square(8, 16, 16)
    assert len(batch(text).rois(seen)) == 1
    rows = batch(text, has_proposals=True).rois(seen)
    assert len(rows) == 2
    assert rows.shape[1] == 7
    assert len(batch(has_proposals=True).rois(seen)) == 0, "without text there is nothing to learn"


def test_examples_mix_proposals_in_from_the_share_of_the_training_that_the_schedule_says() -> None:
    task = TextDetection(SOURCE, RECIPE, LossSchedule(proposals_from=0.5))
    examples = task.open(network(), [])
    early, late = (examples.batch(dataclasses.replace(AT, step=step)) for step in (0, 5))
    assert (early.has_proposals, late.has_proposals) == (False, True)


def test_the_first_look_alone_turns_into_both() -> None:
    task = TextDetection(SOURCE, RECIPE, LossSchedule(first_alone=0.5, kernel=2.0))
    before, after = (task.loss_weights(dataclasses.replace(AT, step=step)) for step in (0, 5))
    assert all(before[part] == 0 for part in SECOND_LOOK)
    assert all(after[part] == 1 for part in SECOND_LOOK)
    assert before["kernel"] == after["kernel"] == 2


@pytest.mark.parametrize(
    "regions",
    [
        (),
        (square(8, 8, 16, ignored=True),),
        (square(-100, -100, 16),),
        (square(8, 8, 0),),
        (TextRegion(np.array([[1.0, 1.0], [9.0, 9.0]])),),
        (TextRegion(np.array([[8.0, 8.0], [40.0, 40.0], [40.0, 8.0], [8.0, 40.0]])),),
        (square(0, 0, 64),),
    ],
    ids=["no text", "ignored", "outside", "no area", "two points", "self-crossing", "all of it"],
)
def test_losses_are_finite_whatever_an_image_holds(regions: tuple[TextRegion, ...]) -> None:
    task = TextDetection(SOURCE, RECIPE)
    subnet = network()
    one = TextBatch(torch.randn(2, 3, 64, 64), (regions, ()), has_proposals=True)
    parts = task.losses(subnet(one), one)
    assert all(math.isfinite(float(part.detach())) for part in parts.values())
    sum(parts.values(), torch.zeros(())).backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in subnet.parameters())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mixing": "images"}, "train.mixing 'none'"),
        ({"erasing": 0.5}, "train.erasing 0"),
        ({"distillation": True}, "train.distillation False"),
    ],
)
def test_a_recipe_that_polygons_do_not_know_is_refused(changes: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TextDetection(SOURCE, dataclasses.replace(RECIPE, **changes))


def test_data_of_another_task_is_refused_by_the_job() -> None:
    digits = data.load("digits", limit=40)
    with pytest.raises(ValueError, match="is for classification, and this job searches detectors"):
        nask.small().task_of(digits)


@pytest.mark.parametrize("name", ["first_alone", "proposals_from"])
def test_a_share_beyond_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"losses.{name} must be at least 0 and at most 1"):
        LossSchedule(**{name: 1.5})


@pytest.mark.slow
def test_both_looks_learn(tmp_path: Any) -> None:
    few = data.load("text", image_size=192, limit=8)
    still = TextAugmentation(scale=(1.0, 1.0), degrees=0.0, colour=0.0)
    recipe = dataclasses.replace(RECIPE, epochs=90.0, learning_rate=5e-3)
    task = TextDetection(cast(Any, few), recipe, augmentation=still)
    train_network(network(), task, recipe, seed=1, folder=tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    for part, share in (("text", 0.9), ("kernel", 0.97), ("centre_line", 0.7), ("scale", 0.7)):
        found = [loss[f"network {part}"] for loss in losses]
        assert sum(found[-5:]) < share * sum(found[:5]), part


@pytest.mark.slow
def test_a_supernet_of_detectors_is_trained_with_every_part(tmp_path: Any) -> None:
    task = TextDetection(SOURCE, RECIPE)
    train_supernet(SPACE, task, task.recipe, seed=1, folder=tmp_path)
    first = json.loads((tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    parts = {name.split(" ")[-1] for name in first["loss"]}
    assert parts >= {"text", "kernel", *SECOND_LOOK}


@pytest.fixture
def quality() -> DetectionQuality:
    made = detection.build(SOURCE, None, limit=6, space=SPACE)
    made.open(torch.device("cpu"))
    return made


def test_decoding_genes_cost_no_forward_pass(quality: DetectionQuality) -> None:
    subnet, rng = network(), np.random.default_rng(0)
    passes: list[int] = []
    subnet.register_forward_hook(lambda *_: passes.append(1))
    row = np.array([smallest(SPACE).choices], dtype=np.int16)
    looks = quality.infer(BuiltCandidate(SPACE, smallest(SPACE), subnet))
    seen = len(passes)
    columns = [i for i, gene in enumerate(SPACE.genes) if gene.name in SPACE.decoding_genes]
    for _ in range(5):
        for column in columns:
            row[0, column] = rng.integers(len(SPACE.genes[column].options))
        (one,) = architectures(SPACE, row)
        candidate = BuiltCandidate(SPACE, one, subnet)
        values = quality.score(looks, candidate.decoding).values
        assert len(passes) == seen
        assert values == quality.measure(candidate).values
        passes[seen:] = []


def test_detections_are_kept_and_come_back(quality: DetectionQuality) -> None:
    measured = quality.measure(Candidate(SPACE, smallest(SPACE), SPACE.build_supernet()))
    content = measured.files[FILE]
    assert len(content) < 1_000_000
    for look in (1, 2):
        found = read_parquet(content, look)
        assert len(found) == 6, "images without detections are there too"
        assert all(one.polygon.shape[1] == 2 for some in found.values() for one in some)
    with pytest.raises(ValueError, match="no kept detections"):
        read_parquet(b"something else")


class Dreamer(torch.nn.Module):
    """A detector whose maps are given, and whose second look sees nothing."""

    def __init__(self, logits: float, *, spots: bool = False) -> None:
        super().__init__()
        self._logits, self._spots = logits, spots

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = torch.full((len(images), 2, 256, 256), self._logits)
        if self._spots:  # 10,000 components of four by four pixels would need 400 x 400
            maps[:, :, ::2, ::2] = 9.0
        return maps, torch.zeros(len(images), 8, 16, 16)

    def second(self, features: torch.Tensor, rois: torch.Tensor) -> torch.Tensor:
        return torch.full((len(rois), 6, 16, 64), -9.0)


@pytest.mark.parametrize("spots", [False, True])
def test_a_first_look_that_proposes_nothing_or_thousands_scores_nothing_and_does_not_fail(
    quality: DetectionQuality, spots: bool
) -> None:
    settings = DecodingSettings(min_pixels=1)
    unclips = {"decode.unclip": SPACE.decoding.unclips}
    made = DetectionQuality(SOURCE, None, limit=4, settings=settings, choices=unclips)
    made.open(torch.device("cpu"))
    candidate = BuiltCandidate(SPACE, smallest(SPACE), Dreamer(-9.0, spots=spots))
    values = made.measure(candidate).values
    assert values["f50"] == 0


def test_a_gene_that_no_setting_has_is_named() -> None:
    with pytest.raises(ValueError, match=r"decode\.FIELD.*got temperature"):
        settings_of({"decode.temperature": 1.0}, DecodingSettings())


def test_a_part_of_the_images_is_measured_for_less(quality: DetectionQuality) -> None:
    candidate = Candidate(SPACE, smallest(SPACE), SPACE.build_supernet())
    measured = quality.measure_part(candidate, 0.3)
    assert len(read_parquet(measured.files[FILE])) == 2
