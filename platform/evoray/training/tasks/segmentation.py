"""Segmentation: one class a pixel; crops and mirroring move the masks along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.recipe.augmentation import Moves
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.tasks.base import Moment
from evoray.training.tasks.parts.labelled_images import LabelledExamples, LabelledImages
from objectives.base import DataSource, LabelledSource


@dataclass(frozen=True)
class Segmentation(LabelledImages):
    """One class a pixel of images that may be shifted and mirrored, their masks with them."""

    name = "segmentation"
    validated_by = "iou"
    timed_by = "latency"

    def __post_init__(self) -> None:
        recipe = self.recipe
        if recipe.mixing != "none" or recipe.rand_augment or recipe.erasing:
            raise ValueError(
                f"segmentation of data {self.source.name!r} has a class for every pixel, which "
                "mixing, RandAugment and erasing would take away: set train.mixing 'none', "
                "train.rand-augment 0 and train.erasing 0, got "
                f"{recipe.mixing!r}, {recipe.rand_augment} and {recipe.erasing:g}"
            )

    def open(self, network: nn.Module, teachers: Sequence[nn.Module]) -> _Examples:
        return _Examples(self, teachers)


class _Examples(LabelledExamples):
    def __init__(self, task: Segmentation, teachers: Sequence[nn.Module]) -> None:
        super().__init__(task, teachers)
        self._recipe = task.recipe

    def augment(self, batch: ImageBatch, moment: Moment) -> ImageBatch:
        generator = torch.Generator().manual_seed(moment.seed_of("augmentation"))
        moves = Moves.draw(
            len(batch.x_bchw),
            generator,
            crop_padding=self._recipe.crop_padding,
            mirror=self._recipe.mirror,
        )
        masks = moves.of(batch.labels[:, None])[:, 0]
        return self.with_outside_labels(replace(batch, x_bchw=moves.of(batch.x_bchw), labels=masks))


def build(source: DataSource, recipe: TrainConfig) -> Segmentation:
    """Learning the masks of a source by a recipe."""
    return Segmentation(cast(LabelledSource, source), recipe)
