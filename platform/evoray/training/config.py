"""How a supernet, or one network alone, is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mixing = Literal["none", "images", "tokens"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How training is done; the defaults are the recipe of BigNAS (Yu et al. 2020,
    arXiv:2003.11142), scaled by the job.
    """

    epochs: float = 30.0
    """Passes over the training images."""
    batch_size: int = 64
    """Images in one optimizer step, over all workers."""
    sampler: str = "sandwich"
    """Which subnets a step trains; a file of evoray.training.samplers."""
    num_random: int = 2
    """Random subnets in each step, between the largest and the smallest."""
    distillation: bool = True
    """Whether the largest subnet's soft labels teach the others (in-place distillation); else all
    learn from hard labels.
    """
    divergence: Literal["cross_entropy", "adaptive"] = "cross_entropy"
    """How far a subnet is from soft labels: cross-entropy, or adaptive alpha-divergence (AlphaNet,
    arXiv:2102.07954).
    """
    teachers: tuple[Path, ...] = ()
    """Networks from outside, folders of `evoray export --to safetensors`, whose mean soft labels
    take the place of hard ones; with one, half and half. A .pt2 file can run code and needs
    --trust-code."""
    teacher_temperature: float = 0.2
    """What the teachers' logits are divided by; below 1 their labels are sharpened."""
    optimizer: Literal["sgd", "rmsprop", "adamw"] = "sgd"
    """SGD with Nesterov momentum, RMSProp, or AdamW, which transformers want."""
    learning_rate: float = 0.05
    """After warm-up."""
    warmup_epochs: float = 1.0
    """Linear from a tenth of the learning rate."""
    schedule: Literal["exponential", "cosine"] = "exponential"
    """How the learning rate falls to its floor."""
    decay_rate: float = 0.97
    """Factor of the learning rate every `decay_epochs`, in the exponential schedule."""
    decay_epochs: float = 0.0
    """0 for the value that reaches the floor after 65 % of the training, as the paper's 2.4 do in
    360 epochs.
    """
    floor: float = 0.05
    """Share of the learning rate at which it stays."""
    momentum: float = 0.9
    """Of SGD and RMSProp."""
    weight_decay: float = 1e-5
    """Of the weights, not of normalisation and biases; once a step, which is decay in the largest
    subnet's loss alone.
    """
    dropout: float = 0.2
    """Before the classifier, in the largest subnet only."""
    drop_connect: float = 0.2
    """Of residual blocks, in the largest subnet only."""
    label_smoothing: float = 0.1
    """Of hard labels."""
    clip_norm: float = 5.0
    """Largest norm of the summed gradients; 0 for no clipping."""
    adaptive_clip: float = 0.0
    """Largest norm of a unit's gradient in norms of its weights (Brock et al. 2021,
    arXiv:2102.06171); 0 for no such clipping.
    """
    channel_sorting_epochs: float = 0.0
    """At the start of each epoch before this one, units are sorted by strength where the space can
    do that (vit_resnas); 0 for never.
    """
    average_decay: float = 0.0
    """Decay of the moving average of weights that is kept and searched instead of the last weights;
    0 for none.
    """
    crop_padding: int = 4
    """Pixels by which a crop may be shifted."""
    mirror: bool = False
    """Whether images are mirrored at random."""
    rand_augment: int = 0
    """Magnitude of RandAugment's two operations, up to 30; 0 for none."""
    erasing: float = 0.0
    """Probability that a box of an image is replaced by noise."""
    mixing: Mixing = "none"
    """Images of a batch mixed: "images" blends them (mixup), "tokens" also cuts boxes and trains
    every patch of the last stage (vit_resnas).
    """
    mixing_alpha: float = 0.8
    """The share of an image in a blend is drawn from Beta(alpha, alpha)."""
    log_every_steps: int = 10
    """Steps between two lines of metrics.jsonl."""
    conflict_every_steps: int = 0
    """Steps between two measurements of how far the subnets of a step, and of the next, pull their
    weights the same way; 0 for none.
    """
    checkpoint_every_seconds: float = 30.0
    """Seconds between two checkpoints; the last step always writes one."""
    keep_checkpoints: int = 2
    """Newest checkpoints that stay."""

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
