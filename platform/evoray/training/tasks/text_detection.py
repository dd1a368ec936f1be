"""Detection of text in two looks: maps of the whole image, and the geometry of rectangles in it.

NASK-style (Cao and Zou 2020, arXiv:2004.12436; Cao et al. 2021, arXiv:2106.12720): the papers' own
labels, losses and schedules are unknown, those used here are this project's reconstruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, cast

import numpy as np
import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.recipe.loss_schedule import LossSchedule
from evoray.training.recipe.text_augmentation import TextAugmentation
from evoray.training.tasks.base import EpochOrder, Moment, weighted_sum
from evoray.training.tasks.parts.text_augmentation import augmented
from evoray.training.tasks.parts.text_labels import LineRegions, MapLabels, batch_labels
from evoray.training.tasks.parts.text_losses import geometry_losses, map_losses
from evoray.training.tasks.parts.text_rois import roi_labels, training_rois
from objectives.base import DataSource
from objectives.parts.text.decoding.proposals import MAP_STRIDE, as_rois, components, roi_rows
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import TextRegion, scaled
from objectives.parts.text.source import TextSource


class TwoLooks(Protocol):
    """Outputs of a network in training."""

    @property
    def maps(self) -> torch.Tensor:
        """(b, 2, h, w) logits of text and kernel."""
        ...

    @property
    def rois(self) -> torch.Tensor:
        """(k, 7) where the second look was taken."""
        ...

    @property
    def geometry(self) -> torch.Tensor:
        """(k, 6, H, W) what it found."""
        ...


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Images with the texts in them; also what the networks take: images, and where to look twice.

    Attributes:
        images: (b, 3, S, S).
        regions: Regions of each image, in its pixels.
        seed: Seed of the rectangles' jitter.
        has_proposals: True if the first look's own proposals are looked at as well.
    """

    images: torch.Tensor
    regions: tuple[tuple[TextRegion, ...], ...]
    seed: int = 0
    has_proposals: bool = False
    _labels: dict[tuple[int, int], tuple[MapLabels, LineRegions]] = field(default_factory=dict)

    @property
    def inputs(self) -> TextBatch:
        """Inputs of the networks: the batch itself."""
        return self

    def to(self, device: torch.device) -> TextBatch:
        """The same on a device."""
        return replace(self, images=self.images.to(device), _labels={})

    def rois(self, maps: torch.Tensor) -> torch.Tensor:
        """(b, 2, h, w) logits -> (k, 7) rows where the second look is trained, in pixels of the
        network's own resolution.
        """
        _, lines = self.labels((maps.shape[-2], maps.shape[-1]))
        proposals = np.zeros((0, 7), dtype=np.float32)
        if self.has_proposals:
            settings = DecodingSettings()
            kernels = torch.sigmoid(maps[:, 1].detach().float()).cpu().numpy()
            proposals = roi_rows([as_rois(components(one, settings), settings) for one in kernels])
        rows = training_rois(lines, proposals, np.random.default_rng(self.seed))
        return torch.from_numpy(rows).to(maps.device)

    def labels(self, grid: tuple[int, int]) -> tuple[MapLabels, LineRegions]:
        """Targets of maps of a size, rows and columns, and the regions to look at twice; made once
        for all networks of one resolution.
        """
        found = self._labels.get(grid)
        if found is None:
            factor = MAP_STRIDE * grid[0] / self.images.shape[-2]
            regions = [[scaled(one, factor) for one in some] for some in self.regions]
            maps, lines = batch_labels(regions, (MAP_STRIDE * grid[0], MAP_STRIDE * grid[1]))
            found = self._labels[grid] = (maps.to(self.images.device), lines)
        return found


@dataclass(frozen=True)
class TextDetection:
    """Finding the texts of images as polygons.

    Attributes:
        source: The data.
        recipe: Settings of the training.
        schedule: Weights of the parts of the loss.
        augmentation: Bounds within which images change.
    """

    source: TextSource
    recipe: TrainConfig
    schedule: LossSchedule = field(default_factory=LossSchedule)
    augmentation: TextAugmentation = field(default_factory=TextAugmentation)

    name = "text_detection"
    validated_by = "detection"
    timed_by = "detection_latency"

    def __post_init__(self) -> None:
        recipe = self.recipe
        unknown = {
            "train.mixing 'none'": recipe.mixing != "none",
            "train.rand-augment 0": bool(recipe.rand_augment),
            "train.erasing 0": bool(recipe.erasing),
            "train.distillation False": recipe.distillation,
            "no train.teachers": bool(recipe.teachers),
        }
        wrong = [words for words, is_wrong in unknown.items() if is_wrong]
        if wrong:
            raise ValueError(
                f"data {self.source.name!r} is for detection, whose polygons and maps know no "
                f"mixing, erasing or soft labels: set {', '.join(wrong)}"
            )

    @property
    def num_examples(self) -> int:
        return len(self.source.open("train"))

    def open(self, network: nn.Module, teachers: Sequence[nn.Module]) -> _Examples:
        return _Examples(self)

    def losses(self, outputs: TwoLooks, batch: TextBatch) -> Mapping[str, torch.Tensor]:
        """Parts "text" and "kernel" of the first look, "centre_line", "scale", "character_angle"
        and "line_angle" of the second.
        """
        maps, lines = batch.labels((outputs.maps.shape[-2], outputs.maps.shape[-1]))
        size = (outputs.geometry.shape[-2], outputs.geometry.shape[-1])
        return {
            **map_losses(outputs.maps, maps),
            **geometry_losses(outputs.geometry, roi_labels(lines, outputs.rois, size)),
        }

    def loss_weights(self, moment: Moment) -> Mapping[str, float]:
        return self.schedule.weights(moment.progress)

    def plain_loss(self, outputs: TwoLooks, batch: TextBatch) -> torch.Tensor:
        """The sum of all parts."""
        return weighted_sum(self.losses(outputs, batch), {})


class _Examples:
    """The training images, in an order of each epoch's own."""

    def __init__(self, task: TextDetection) -> None:
        self._task = task
        self._split = task.source.open("train")
        self._order = EpochOrder(len(self._split))

    def batch(self, moment: Moment) -> TextBatch:
        chosen = self._order.chosen(moment)
        regions = tuple(
            tuple(scaled(one, self._split.scale(index)) for one in self._split.regions(index))
            for index in chosen.tolist()
        )
        return TextBatch(
            self._split.images(chosen),
            regions,
            seed=moment.seed_of("rois"),
            has_proposals=moment.progress >= self._task.schedule.proposals_from,
        )

    def augment(self, batch: TextBatch, moment: Moment) -> TextBatch:
        rng = np.random.default_rng(moment.seed_of("augmentation"))
        images, regions = augmented(batch.images, batch.regions, self._task.augmentation, rng)
        return replace(batch, images=images, regions=regions, _labels={})


def build(source: DataSource, recipe: TrainConfig) -> TextDetection:
    """Learning the texts of a source by a recipe."""
    return TextDetection(cast(TextSource, source), recipe)
