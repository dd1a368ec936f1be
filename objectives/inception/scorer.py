"""One pass over a generator's images that yields all its scores; parts of the pass may run in
several processes.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from objectives.base import MeasurementError
from objectives.inception.extractors import Extractor
from objectives.inception.frechet import frechet_distance
from objectives.inception.moments import Moments
from objectives.inception.pixels import PixelSource, generated_pixels
from objectives.inception.reference import Reference, reference
from objectives.inception.scores import InceptionScore, kernel_distance


@dataclass(frozen=True)
class Scores:
    """Scores of one generator.

    Attributes:
        inception_score: Mean over the splits, the larger the better.
        inception_score_std: Population standard deviation over the splits.
        frechet: FID, the smaller the better.
        kernel: KID, the smaller the better; may be slightly below 0.
    """

    inception_score: float
    inception_score_std: float
    frechet: float
    kernel: float


@dataclass(eq=False)
class Part:
    """Sums over the part of a generator's images that one process has seen."""

    moments: Moments
    score: InceptionScore
    rows: list[tuple[int, NDArray[np.float32]]]  # (index of the batch, its features)

    def merge(self, other: Part) -> None:
        """Takes what another process has seen of the others."""
        self.moments.merge(other.moments)
        self.score.merge(other.score)
        self.rows = sorted([*self.rows, *other.rows], key=lambda pair: pair[0])


class Scorer:
    """Compares generators with a data set: latent vectors are the same for every generator and in
    every process.

    Scores depend on `num_images`: those of 5,000 and of 50,000 must not be compared.
    """

    def __init__(
        self,
        source: PixelSource,
        extractor: Extractor,
        *,
        latent: int,
        num_images: int = 5000,
        batch_size: int = 100,
        num_splits: int = 10,
        seed: int = 0,
        max_rows: int = 5000,
        reference_splits: Sequence[str] = ("train", "val"),
        cache: Path | None = None,
        allow_few: bool = False,
    ) -> None:
        """
        Args:
            latent: Length of the generator's input.
            num_images: Generated for one generator.
            num_splits: Number of splits of the inception score.
            max_rows: Images of each side that enter the kernel distance.
            reference_splits: Real images.
            cache: Folder for the reference statistics; None computes them whenever it is opened.
            allow_few: Warns of fewer images than features instead of refusing them: the covariance
                is then singular and FID biased far upwards.
        """
        if min(latent, batch_size, max_rows) < 1 or max_rows < 2:
            raise ValueError(
                "a scorer needs latent and batch_size of at least 1 and max_rows of 2, got "
                f"{latent}, {batch_size}, {max_rows}"
            )
        InceptionScore(num_images, 1, splits=num_splits)  # refuses too few images
        check_enough(
            f"{num_images} generated images", num_images, extractor.num_features, allow_few
        )
        self.extractor = extractor
        self._source, self._latent, self._num_images, self._batch_size = (
            source,
            latent,
            num_images,
            batch_size,
        )
        self._num_splits, self._seed, self._max_rows = num_splits, seed, max_rows
        self._reference_splits, self._cache, self._allow_few = (
            tuple(reference_splits),
            cache,
            allow_few,
        )
        self._reference: Reference | None = None
        self._device = torch.device("cpu")

    @property
    def num_batches(self) -> int:
        return -(-self._num_images // self._batch_size)

    def open(self, device: torch.device) -> None:
        """Opens the extractor and gets the reference; a second call does nothing."""
        if self._reference is not None:
            return
        self.extractor.open(device)
        found = reference(
            self._source,
            self.extractor,
            splits=self._reference_splits,
            max_rows=self._max_rows,
            cache=self._cache,
        )
        check_enough(
            f"{found.count} real images of {self._source.name!r}",
            found.count,
            self.extractor.num_features,
            self._allow_few,
        )
        self._reference, self._device = found, device

    def part(self, network: nn.Module, key: str, batches: range | None = None) -> Part:
        """Runs these batches and returns the sums over their images; None for all. `network` is
        used in the mode it is in.

        Raises:
            MeasurementError: The generator returns what is no image of the data set's shape, or
                NaN; names `key`.
        """
        self._opened()
        batches = range(self.num_batches) if batches is None else batches
        if batches.step != 1 or not 0 <= batches.start <= batches.stop <= self.num_batches:
            raise ValueError(
                f"a part is a stretch of the {self.num_batches} batches, got {batches}"
            )
        start = batches.start * self._batch_size
        score = InceptionScore(
            self._num_images, self.extractor.num_classes, splits=self._num_splits, start=start
        )
        found = Part(Moments(self.extractor.num_features), score, [])
        for batch in batches:
            with torch.inference_mode():
                images = network(self.latents(batch).to(self._device))
            features, logits = self.extractor.extract(generated_pixels(self._checked(images, key)))
            rows = features.double().cpu().numpy()
            if not (np.isfinite(rows).all() and bool(torch.isfinite(logits).all())):
                raise MeasurementError(
                    f"{key}: the extractor computes NaN for the generated images"
                )
            found.moments.add(rows)
            found.score.add(logits.double().cpu().numpy())
            if batch * self._batch_size < self._max_rows:
                found.rows.append((batch, rows.astype(np.float32)))
        return found

    def scores(self, whole: Part) -> Scores:
        """Computes the scores from a part that has seen all images, or from all parts merged."""
        real = self._opened()
        mean, std = whole.score.value()
        rows = np.concatenate([rows for _, rows in whole.rows])[: self._max_rows]
        return Scores(
            mean,
            std,
            frechet_distance(real.gaussian, whole.moments),
            kernel_distance(real.rows, rows),
        )

    def latents(self, batch: int) -> Tensor:
        """(b, latent) standard normal; the last batch may be smaller."""
        count = min(self._batch_size, self._num_images - batch * self._batch_size)
        rng = np.random.default_rng([self._seed, batch])
        return torch.from_numpy(rng.standard_normal((count, self._latent), dtype=np.float32))

    def _checked(self, images: Tensor, key: str) -> Tensor:
        if tuple(images.shape[1:]) != self._source.image_shape:
            raise MeasurementError(
                f"{key}: the generator returns images of shape {tuple(images.shape[1:])}, "
                f"{self._source.name!r} has {self._source.image_shape}"
            )
        if not bool(torch.isfinite(images).all()):
            raise MeasurementError(f"{key}: generated images are not finite")
        return images

    def _opened(self) -> Reference:
        if self._reference is None:
            raise RuntimeError("the scorer was not opened: call open(device) first")
        return self._reference

    def __getstate__(self) -> dict[str, object]:
        return {**vars(self), "_reference": None}


def check_enough(what: str, count: int, num_features: int, allow_few: bool) -> None:
    """Warns, or raises ValueError, where there are too few images for a covariance of the
    features.
    """
    if count > num_features:
        return
    message = (
        f"{what} are too few for FID on {num_features} features: their covariance is singular and "
        "FID biased upwards"
    )
    if not allow_few:
        raise ValueError(
            f"{message}; take more than {num_features}, or allow_few=True for a number that ranks "
            "but means little"
        )
    warnings.warn(message, stacklevel=3)
