"""A training step on images that a benchmark drew itself: the task that its losses come from, and
its moment.
"""

from __future__ import annotations

from evoray import data
from evoray.training import tasks
from evoray.training.config import TrainConfig
from evoray.training.tasks.base import Moment, Task


def classification(config: TrainConfig) -> Task:
    """The task of classifying. Its losses depend on outputs and labels alone, so the data that it
    names is never opened.
    """
    return tasks.of(data.load("digits"), config)


def moment_of(batch_size: int) -> Moment:
    """The moment of every step: what is timed does not depend on how far a training is."""
    return Moment(seed=0, step=0, steps=1, steps_per_epoch=1, batch_size=batch_size)
