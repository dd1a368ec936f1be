"""How good a generator's images are: inception score, Frechet and kernel distance, on one of two
kinds of feature extractor.
"""

from __future__ import annotations

from objectives.base import Recalibration
from objectives.inception.extractors import Extractor, Inception, TrainedClassifier
from objectives.inception.objective import GenerativeScore, Kind
from objectives.inception.pixels import PixelSource
from objectives.inception.scorer import Scorer, Scores

__all__ = ["GenerativeScore", "Inception", "Scorer", "Scores", "TrainedClassifier", "build"]


def build(
    source: PixelSource,
    extractor: Extractor,
    latent: int,
    recalibrate: Recalibration | None = None,
    *,
    kind: Kind = "fid",
    num_images: int = 5000,
) -> GenerativeScore:
    """One score of generators of `latent` inputs, against the training images of `source`."""
    return GenerativeScore(
        kind, Scorer(source, extractor, latent=latent, num_images=num_images), recalibrate
    )
