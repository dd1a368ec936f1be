"""Scores of detections against annotations: one protocol by name, or the values that a search
looks at, all from one computation of overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from objectives.detection.ground_truth import GroundTruth
from objectives.detection.overlaps import Overlaps, overlaps
from objectives.detection.protocols import load
from objectives.detection.scores import Scores, summed
from objectives.parts.text.regions import Detection, ImageRegions

Truth = Sequence[ImageRegions] | GroundTruth


@dataclass(frozen=True)
class Summary:
    """Values that a search of detectors looks at, all between 0 and 1.

    Attributes:
        f50: F-measure at IoU above 0.5, by ICDAR 2015's rules.
        f70: The same above 0.7.
        f_mean: Mean of the F-measures at .5, .55, ... .9.
        recall: At IoU above 0.5.
        precision: At IoU above 0.5.
        tiou: Harmonic mean of the tightness-aware recall and precision.
        truth_digest: SHA-256 of the ground truth.
    """

    f50: float
    f70: float
    f_mean: float
    recall: float
    precision: float
    tiou: float
    truth_digest: str


def score(truth: Truth, found: Mapping[str, Sequence[Detection]], protocol: str) -> Scores:
    """The score of a set.

    Args:
        truth: Annotations; a `GroundTruth` where they are scored against more than once.
        found: Detections by the name of the image, in file order; an image that is not there has
            none.
        protocol: A name of `protocols.names()`, with its thresholds where it takes some.

    Raises:
        ValueError: There is no such protocol, no image, or detections are of an unknown image.
    """
    count = load(protocol)
    those = prepared(truth, found)
    return summed(count(those), those, protocol)


def summary(truth: Truth, found: Mapping[str, Sequence[Detection]]) -> Summary:
    """F at two thresholds and its mean over several, recall, precision and tightness, from one
    computation of overlaps.

    Args:
        truth: The same as in `score`.
        found: The same as in `score`.

    Raises:
        ValueError: There is no image, or detections are of an unknown image.
    """
    those = prepared(truth, found)
    at = {
        name: summed(load(name)(those), those, name)
        for name in ("icdar2015", "f:0.7", "f_mean", "tiou")
    }
    return Summary(
        f50=at["icdar2015"].hmean,
        f70=at["f:0.7"].hmean,
        f_mean=at["f_mean"].hmean,
        recall=at["icdar2015"].recall,
        precision=at["icdar2015"].precision,
        tiou=at["tiou"].hmean,
        truth_digest=those.truth.digest,
    )


def prepared(truth: Truth, found: Mapping[str, Sequence[Detection]]) -> Overlaps:
    """The overlaps of a set, for several protocols."""
    return overlaps(truth if isinstance(truth, GroundTruth) else GroundTruth.of(truth), found)
