"""Real images on a generator's scale, and in the order in which a training sees them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from evoray.data.parts.images import ImageSource, unlabelled_splits
from evoray.seeds import seed_for

# b batch, c channels, h height, w width


def signed(x_bchw: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """A source's normalised images, brought to [-1, 1]; `mean` and `std` are the source's."""
    scale, shift = (
        torch.tensor(v, dtype=torch.float32, device=x_bchw.device).view(1, -1, 1, 1)
        for v in (std, mean)
    )
    return ((x_bchw * scale + shift) * 2.0 - 1.0).clamp(-1.0, 1.0)


def image_splits(source: ImageSource) -> tuple[str, ...]:
    """Splits that a generator learns from: all but the test images, also those without labels where
    a source has them.
    """
    return "train", "val", *unlabelled_splits(source)


class RealImages:
    """Batches of a source's images in [-1, 1], in an order that is a function of the seed; a last
    incomplete batch is left out.

    Attributes:
        size: Number of images.
        per_epoch: Batches of one pass over them.
    """

    def __init__(self, source: ImageSource, batch_size: int, *, seed: int) -> None:
        self._source = source
        self._splits = [source.open(name) for name in image_splits(source)]
        self._batch_size, self._seed = batch_size, seed
        self.size = sum(len(split) for split in self._splits)
        self.per_epoch = self.size // batch_size
        self._order: tuple[int, Tensor] = (-1, torch.zeros(0))
        if self.per_epoch < 1:
            raise ValueError(
                f"{source.name!r} has {self.size} images, too few for one batch of {batch_size}: "
                "lower gan.discriminator_batch or take more data"
            )

    def batches(self, step: int, count: int, *, rank: int = 0, world_size: int = 1) -> list[Tensor]:
        """The `count` batches of a step, (b, c, h, w) each; of a group of ranks each gets its share
        of every batch.
        """
        return [self._batch(step * count + part)[rank::world_size] for part in range(count)]

    def first(self, count: int) -> Tensor:
        """(count, c, h, w) images of the first epoch's order, to compare with."""
        return self._images(self._permutation(0)[:count])

    def _batch(self, number: int) -> Tensor:
        epoch, position = divmod(number, self.per_epoch)
        return self._images(
            self._permutation(epoch)[position * self._batch_size :][: self._batch_size]
        )

    def _permutation(self, epoch: int) -> Tensor:
        if self._order[0] != epoch:
            generator = torch.Generator().manual_seed(seed_for(self._seed, "order", epoch))
            self._order = (epoch, torch.randperm(self.size, generator=generator))
        return self._order[1]

    def _images(self, chosen: Tensor) -> Tensor:
        found = torch.empty(len(chosen), *self._source.image_shape)
        start = 0
        for split in self._splits:
            inside = (chosen >= start) & (chosen < start + len(split))
            if inside.any():
                found[inside] = signed(
                    split.images(chosen[inside] - start), self._source.mean, self._source.std
                )
            start += len(split)
        return found
