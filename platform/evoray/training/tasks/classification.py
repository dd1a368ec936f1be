"""Classification: one class an image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import nn

from evoray.seeds import generator_for, seed_for
from evoray.training.config import TrainConfig
from evoray.training.recipe.augmentation import augment, distort
from evoray.training.recipe.distillation import hard_loss
from evoray.training.recipe.image_batch import ImageBatch
from evoray.training.recipe.mixing import mix, patch_grid
from evoray.training.tasks.base import Forward, Moment
from evoray.training.tasks.parts.labelled_images import LabelledExamples, LabelledImages, Logits
from objectives.base import DataSource, LabelledSource


@runtime_checkable
class Normalised(Protocol):
    """A source of pictures that says how they were normalised."""

    @property
    def mean(self) -> Sequence[float]:
        """Mean of each channel, on a scale of 0 to 1."""
        ...

    @property
    def std(self) -> Sequence[float]: ...


@runtime_checkable
class GrowsPatchHead(Protocol):
    """A network that classifies its patches in training alone."""

    def add_patch_head(self) -> None: ...

    def remove_patch_head(self) -> None: ...


@dataclass(frozen=True)
class Classification(LabelledImages):
    """One class an image, shifted, mirrored, distorted and mixed as the recipe says.

    Where images are mixed patch by patch, the patches are classified too, and their loss counts as
    much as the image's. Both are one part of the loss: parts of their own would travel in the
    message over the ranks, and of more than two ranks the order of sums would change.
    """

    name = "classification"
    validated_by = "accuracy"
    timed_by = "latency"

    def __post_init__(self) -> None:
        if (self.recipe.rand_augment or self.recipe.erasing) and not isinstance(
            self.source, Normalised
        ):
            raise ValueError(
                f"train.rand-augment and train.erasing are for pictures, and data "
                f"{self.source.name!r} has no mean and std: set both to 0"
            )

    def open(self, network: nn.Module, teachers: Sequence[nn.Module]) -> _Examples:
        return _Examples(self, network, teachers)

    def losses(self, outputs: Logits, batch: ImageBatch) -> Mapping[str, torch.Tensor]:
        return self._with_patches(super().losses(outputs, batch), outputs, batch)

    def soft_losses(
        self, outputs: Logits, batch: ImageBatch, labels: torch.Tensor
    ) -> Mapping[str, torch.Tensor]:
        return self._with_patches(super().soft_losses(outputs, batch, labels), outputs, batch)

    @contextmanager
    def training_heads(self, network: nn.Module) -> Iterator[Forward]:
        """Yields the network's forward pass, with heads for the patches where images are mixed
        patch by patch.
        """
        if self.recipe.mixing != "tokens":
            yield network
            return
        patch_grid(network)
        grows = isinstance(network, GrowsPatchHead)
        if grows:
            cast(GrowsPatchHead, network).add_patch_head()
        try:
            yield cast(Any, network).forward_with_patches
        finally:
            if grows:
                cast(GrowsPatchHead, network).remove_patch_head()

    def _with_patches(
        self, parts: Mapping[str, torch.Tensor], outputs: Logits, batch: ImageBatch
    ) -> Mapping[str, torch.Tensor]:
        if not isinstance(outputs, tuple) or batch.patches_bnk is None:
            return parts
        patches = hard_loss(
            outputs[1].flatten(0, 1), batch.patches_bnk.flatten(0, 1), self.recipe.label_smoothing
        )
        return {"labels": parts["labels"] + patches}


class _Examples(LabelledExamples):
    def __init__(
        self, task: Classification, network: nn.Module, teachers: Sequence[nn.Module]
    ) -> None:
        super().__init__(task, teachers)
        self._source, self._recipe = task.source, task.recipe
        self._patch_grid = patch_grid(network) if task.recipe.mixing == "tokens" else 0

    def augment(self, batch: ImageBatch, moment: Moment) -> ImageBatch:
        recipe, seed = self._recipe, moment.seed_of("augmentation")
        generator = torch.Generator().manual_seed(seed)
        x_bchw = augment(
            batch.x_bchw, generator, crop_padding=recipe.crop_padding, mirror=recipe.mirror
        )
        if recipe.rand_augment or recipe.erasing:
            normalised = cast(Normalised, self._source)
            x_bchw = distort(
                x_bchw,
                seed_for(seed, "distortion"),
                magnitude=recipe.rand_augment,
                erasing=recipe.erasing,
                mean=normalised.mean,
                std=normalised.std,
            )
        mixed = mix(
            ImageBatch(x_bchw, batch.labels),
            recipe.mixing,
            num_classes=self._source.num_classes,
            grid=self._patch_grid,
            alpha=recipe.mixing_alpha,
            rng=generator_for(seed, "mixing"),
        )
        return self.with_outside_labels(mixed)


def build(source: DataSource, recipe: TrainConfig) -> Classification:
    """Learning the classes of a source by a recipe."""
    return Classification(cast(LabelledSource, source), recipe)
