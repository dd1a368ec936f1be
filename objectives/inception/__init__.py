"""Quality of a generator's images: inception score, Frechet and kernel distance, on one of two
kinds of feature extractor.
"""

from __future__ import annotations

from collections.abc import Sequence

from objectives.base import Recalibration
from objectives.inception.extractors import Extractor, Inception, TrainedClassifier
from objectives.inception.objective import GenerativeScores, Kind
from objectives.inception.pixels import PixelSource
from objectives.inception.scorer import Scorer, Scores

__all__ = ["GenerativeScores", "Inception", "Scorer", "Scores", "TrainedClassifier", "build"]


def build(
    source: PixelSource,
    extractor: Extractor,
    latent: int,
    recalibrate: Recalibration | None = None,
    *,
    kinds: Sequence[Kind] = ("is", "fid", "kid"),
    num_images: int = 5000,
) -> GenerativeScores:
    """The scores of generators of `latent` inputs, against the training images of `source`."""
    scorer = Scorer(source, extractor, latent=latent, num_images=num_images)
    return GenerativeScores(scorer, recalibrate, kinds=kinds)
