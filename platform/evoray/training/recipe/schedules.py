"""The learning rate over training: linear warm-up, then exponential decay to a constant floor
(BigNAS, arXiv:2003.11142), or a cosine.
"""

from __future__ import annotations

import math

from evoray.training.config import TrainConfig

_FLOOR_SHARE = 236.05 / 360  # of the training after which the paper's schedule reaches its floor
_WARMUP_START = 0.1


def exponential_with_floor(
    epoch: float, *, learning_rate: float, decay_rate: float, decay_epochs: float, floor: float
) -> float:
    """max(floor * rate, rate * decay_rate^(epoch / decay_epochs)); `epoch` counts from the end of
    the warm-up.
    """
    return learning_rate * max(floor, math.pow(decay_rate, epoch / decay_epochs))


def cosine(progress: float, *, learning_rate: float, floor: float) -> float:
    """Half a cosine from the rate to its floor (Loshchilov and Hutter 2017, arXiv:1608.03983);
    `progress` goes from 0 to 1.
    """
    return learning_rate * (
        floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
    )


def decay_epochs_for(epochs: float, *, decay_rate: float, floor: float) -> float:
    """The `decay_epochs` with which the floor is reached at the paper's share of `epochs`."""
    if floor >= 1:
        return epochs
    return _FLOOR_SHARE * epochs * math.log(decay_rate) / math.log(floor)


def learning_rate_at(step: int, config: TrainConfig, steps_per_epoch: float) -> float:
    """The rate of one optimizer step, counted from 0."""
    epoch = step / steps_per_epoch
    if epoch < config.warmup_epochs:
        return config.learning_rate * (
            _WARMUP_START + (1 - _WARMUP_START) * epoch / config.warmup_epochs
        )
    after = max(config.epochs - config.warmup_epochs, 1e-9)
    if config.schedule == "cosine":
        return cosine(
            (epoch - config.warmup_epochs) / after,
            learning_rate=config.learning_rate,
            floor=config.floor,
        )
    decay_epochs = config.decay_epochs or decay_epochs_for(
        after, decay_rate=config.decay_rate, floor=config.floor
    )
    return exponential_with_floor(
        epoch - config.warmup_epochs,
        learning_rate=config.learning_rate,
        decay_rate=config.decay_rate,
        decay_epochs=decay_epochs,
        floor=config.floor,
    )
