"""The configuration of a search of text detectors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from evoray.training.recipe.loss_schedule import LossSchedule
from evoray.training.recipe.text_augmentation import TextAugmentation
from jobs.pipelines.supernet.config import SupernetSearch

if TYPE_CHECKING:  # named only: they import torch
    from evoray.data.parts.images import ImageSource
    from evoray.training.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class DetectionSearch(SupernetSearch):
    """Trains a supernet of text detectors and searches it."""

    losses: LossSchedule = field(default_factory=LossSchedule)
    augmentation: TextAugmentation = field(default_factory=TextAugmentation)

    def task_of(self, source: ImageSource) -> Task:
        """Detection with this schedule of losses.

        Raises:
            ValueError: The data is for another task, or the recipe does not fit it.
        """
        from evoray.training import tasks  # imports torch, which no help needs

        task: Any = tasks.of(source, self.train)
        if task.name != "text_detection":
            raise ValueError(
                f"data {self.data.name!r} is for {task.name}, and this job searches detectors: "
                "choose --data text, total_text, ctw1500 or icdar2015"
            )
        found: Task = replace(task, schedule=self.losses, augmentation=self.augmentation)
        return found
