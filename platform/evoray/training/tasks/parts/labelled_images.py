"""Base of classification and segmentation: images whose labels are classes, cross-entropy, soft
labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from evoray.training.config import TrainConfig
from evoray.training.recipe.distillation import (
    adaptive_loss,
    ensemble_labels,
    hard_loss,
    soft_labels,
    soft_loss,
)
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.tasks.base import EpochOrder, Moment
from objectives.base import LabelledSource

Logits = torch.Tensor | tuple[torch.Tensor, torch.Tensor]  # the second one's are of the patches


@dataclass(frozen=True)
class LabelledImages:
    """Images, and classes of them or of their pixels.

    The loss has one part, "labels": cross-entropy with the labels, smoothed, or what stands in
    their place.

    Attributes:
        source: The data.
        recipe: Recipe of the training: augmentation, smoothing, mixing, teachers.
    """

    source: LabelledSource
    recipe: TrainConfig

    @property
    def num_examples(self) -> int:
        return len(self.source.open("train"))

    def losses(self, outputs: Logits, batch: ImageBatch) -> Mapping[str, torch.Tensor]:
        """Passes that no other network teaches learn from the hard labels, or where the batch
        carries labels from outside from those, with the hard ones at its `hard_share`.
        """
        logits, share = image_logits(outputs), batch.hard_share
        loss = hard_loss(logits, batch.labels, self.recipe.label_smoothing)
        if batch.outside is not None:
            loss = share * loss + (1.0 - share) * soft_loss(logits, batch.outside)
        return {"labels": loss}

    def loss_weights(self, moment: Moment) -> Mapping[str, float]:
        return {}

    def plain_loss(self, outputs: Logits, batch: ImageBatch) -> torch.Tensor:
        """Cross-entropy with the labels as they are."""
        return hard_loss(image_logits(outputs), batch.labels, 0.0)

    def soft_labels(self, outputs: Sequence[Logits]) -> torch.Tensor:
        """The mean of their probabilities."""
        return torch.stack([soft_labels(image_logits(one)) for one in outputs]).mean(dim=0)

    def soft_losses(
        self, outputs: Logits, batch: ImageBatch, labels: torch.Tensor
    ) -> Mapping[str, torch.Tensor]:
        """The distance from the teachers' probabilities that the recipe names."""
        distance = adaptive_loss if self.recipe.divergence == "adaptive" else soft_loss
        return {"labels": distance(image_logits(outputs), labels)}


class LabelledExamples:
    """The training part of a source, in an order of each epoch's own."""

    def __init__(self, task: LabelledImages, teachers: Sequence[nn.Module]) -> None:
        self._split = task.source.open("train")
        self._order = EpochOrder(len(self._split))
        self._teachers, self._temperature = list(teachers), task.recipe.teacher_temperature

    def batch(self, moment: Moment) -> ImageBatch:
        chosen = self._order.chosen(moment)
        return ImageBatch(self._split.images(chosen), self._split.labels[chosen])

    def with_outside_labels(self, batch: ImageBatch) -> ImageBatch:
        """The batch with the teachers' labels, where there are teachers; one alone shares with the
        hard ones.
        """
        if not self._teachers:
            return batch
        found = ensemble_labels(self._teachers, batch.x_bchw, temperature=self._temperature)
        return replace(batch, outside=found, hard_share=0.5 if len(self._teachers) == 1 else 0.0)


def image_logits(outputs: Logits) -> torch.Tensor:
    """Logits of the images, without those of their patches."""
    return outputs[0] if isinstance(outputs, tuple) else outputs
