"""Training recipe of a supernet, or of one network alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mixing = Literal["none", "images", "tokens"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Training recipe; the defaults are BigNAS's (Yu et al. 2020, arXiv:2003.11142), scaled by the
    job.
    """

    epochs: float = 30.0
    """Passes over the training images; may be a fraction.
    The first thing to raise for accuracy, and to lower for a trial.
    """
    batch_size: int = 64
    """Images in one optimizer step, over all workers.
    Scale learning_rate along with it.
    """
    sampler: str = "sandwich"
    """Choice of the subnets that a step trains: sandwich, uniform, complexity_aware ...
    Sandwich is the largest, the smallest and some random ones; docs/training.md compares them.
    """
    num_random: int = 2
    """Random subnets in each step, between the largest and the smallest.
    Each makes a step longer by a forward and a backward pass.
    """
    distillation: bool = True
    """Lets the largest subnet's soft labels teach the others (in-place distillation).
    Without it all subnets learn from hard labels.
    """
    divergence: Literal["cross_entropy", "adaptive"] = "cross_entropy"
    """Loss against soft labels: cross_entropy or adaptive.
    The latter is AlphaNet's alpha-divergence (arXiv:2102.07954).
    """
    teachers: tuple[Path, ...] = ()
    """Trained networks to learn from: folders of `evoray export --to safetensors`.
    One teacher's soft labels count half, beside the hard ones; those of several replace them.
    A .pt2 file can run code and needs the option --trust-code.
    """
    teacher_temperature: float = 0.2
    """Divisor of the teachers' logits, above 0; below 1 their labels are sharpened."""
    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    """Optimizer: sgd (with Nesterov momentum), rmsprop, or adamw, which transformers want."""
    learning_rate: float = 0.05
    """Peak learning rate, reached after warm-up.
    Lower it when the loss rises or is not finite.
    """
    warmup_epochs: float = 1.0
    """Epochs in which the rate rises linearly from a tenth of its peak to it; 0 for none."""
    schedule: Literal["exponential", "cosine"] = "exponential"
    """Fall of the learning rate to its floor: exponential or cosine."""
    decay_rate: float = 0.97
    """Factor of the exponential schedule, between 0 and 1, for every decay_epochs."""
    decay_epochs: float = 0.0
    """Epochs in which the exponential schedule applies decay_rate once.
    With 0 the floor is reached after 65 % of the training, as in the paper.
    """
    floor: float = 0.05
    """Lowest learning rate, as a share of the peak, above 0 and at most 1."""
    momentum: float = 0.9
    """Momentum of sgd and rmsprop, at least 0 and below 1; adamw has its own."""
    weight_decay: float = 1e-5
    """Decay of the weights, not of normalisation and biases; raise it against overfitting.
    It acts once a step, which is decay in the largest subnet's loss alone.
    """
    dropout: float = 0.2
    """Probability of dropout before the classifier, in the largest subnet only.
    Raise it against overfitting.
    """
    drop_connect: float = 0.2
    """Probability of leaving out a residual block, in the largest subnet only.
    It grows with depth up to this value; raise it against overfitting.
    """
    label_smoothing: float = 0.1
    """Share of a hard label that is spread over all classes, at least 0 and below 1."""
    clip_norm: float = 5.0
    """Largest norm of the summed gradients; 0 for no clipping.
    Lower it when losses jump.
    """
    adaptive_clip: float = 0.0
    """Largest norm of a unit's gradient, in norms of its weights; 0 for no such clipping.
    See Brock et al. 2021, arXiv:2102.06171.
    """
    channel_sorting_epochs: float = 0.0
    """Epochs in which units are sorted by strength at the start of each; 0 for never.
    Only for spaces that can do that (vit_resnas).
    """
    average_decay: float = 0.0
    """Decay of the moving average of the weights, at least 0 and below 1; 0 for none.
    The average is kept and searched instead of the last weights; 0.999 suits long trainings.
    """
    crop_padding: int = 4
    """Pixels by which images are shifted at most, at random; 0 for no shift."""
    mirror: bool = False
    """Mirrors images left to right at random.
    Leave it off where sides matter, as in digits and text.
    """
    rand_augment: int = 0
    """Magnitude of RandAugment's two operations, from 0 (none) to 30.
    Raise it against overfitting.
    """
    erasing: float = 0.0
    """Probability that a box of an image is replaced by noise, at least 0 and below 1."""
    mixing: Mixing = "none"
    """Mixing of a batch's images: none, images (mixup) or tokens.
    The last also cuts boxes and trains every patch of the last stage (vit_resnas).
    """
    mixing_alpha: float = 0.8
    """Parameter of Beta(alpha, alpha), from which an image's share in a mixture is drawn.
    The larger, the more even are the shares.
    """
    log_every_steps: int = 10
    """Steps between two lines of metrics.jsonl; fewer make finer curves and a larger file."""
    conflict_every_steps: int = 0
    """Steps between two measurements of gradient conflict, for the report; 0 for none.
    It tells how far subnets of a step, and of the next, pull their weights the same way.
    """
    checkpoint_every_seconds: float = 30.0
    """Seconds between two checkpoints: at most so much work is lost in a crash.
    The last step always writes one.
    """
    keep_checkpoints: int = 2
    """Newest checkpoints to keep on disk, 1 or more."""

    def __post_init__(self) -> None:
        positive = (
            "epochs",
            "batch_size",
            "learning_rate",
            "teacher_temperature",
            "mixing_alpha",
            "log_every_steps",
            "keep_checkpoints",
        )
        not_negative = (
            "num_random",
            "warmup_epochs",
            "decay_epochs",
            "weight_decay",
            "clip_norm",
            "adaptive_clip",
            "crop_padding",
            "conflict_every_steps",
            "channel_sorting_epochs",
            "checkpoint_every_seconds",
        )
        shares = (
            "dropout",
            "drop_connect",
            "label_smoothing",
            "momentum",
            "average_decay",
            "erasing",
        )
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"train.{name} must be above 0, got {getattr(self, name)}")
        for name in not_negative:
            if not getattr(self, name) >= 0:
                raise ValueError(f"train.{name} must not be negative, got {getattr(self, name)}")
        for name in shares:
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(
                    f"train.{name} must be at least 0 and below 1, got {getattr(self, name)}"
                )
        if not 0 <= self.rand_augment <= 30:
            raise ValueError(
                f"train.rand_augment must be a magnitude from 0 to 30, got {self.rand_augment}"
            )
        if not (0 < self.decay_rate < 1 and 0 < self.floor <= 1):
            raise ValueError(
                "train.decay_rate must be between 0 and 1 and train.floor in (0, 1], got "
                f"{self.decay_rate} and {self.floor}"
            )
