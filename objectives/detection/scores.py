"""Counts of a protocol, image by image, and the score that they add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from objectives.detection.overlaps import Overlaps


@dataclass(frozen=True, eq=False)
class Tally:
    """A protocol's count of one set: t passes, of different thresholds, over k images.

    Attributes:
        truth_credit: (t, k) matched regions, each counted as far as its protocol credits it.
        found_credit: (t, k) the same of detections.
        num_truth: (k,) regions that count.
        num_found: (k,) detections that count.
        kinds: Numbers of matches by their kind, of the whole set.
    """

    truth_credit: NDArray[np.float64]
    found_credit: NDArray[np.float64]
    num_truth: NDArray[np.int64]
    num_found: NDArray[np.int64]
    kinds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageScores:
    """One image's share, for reports: without regions that count, its recall is 1, and its
    precision 1 where nothing was found either.
    """

    recall: float
    precision: float
    hmean: float
    num_truth: int
    num_found: int


@dataclass(frozen=True)
class Scores:
    """The score of a set, all between 0 and 1.

    Attributes:
        recall: Credit of regions over all regions that count; a mean where the protocol has several
            thresholds.
        precision: Credit of detections over all detections that count; likewise.
        hmean: Harmonic mean of both, 0 where both are 0; the mean of those of several thresholds.
        protocol: Its name; scores of different protocols cannot be compared.
        truth_digest: SHA-256 of the ground truth.
        counts: By name: "truth" and "found" (those that count), "truth_ignored", "found_ignored",
            and the numbers of matches of each kind.
        images: Each image's values, by its name.
    """

    recall: float
    precision: float
    hmean: float
    protocol: str
    truth_digest: str
    counts: Mapping[str, int]
    images: Mapping[str, ImageScores]


def counted(
    image: NDArray[np.int64], which: NDArray[np.bool_], num_images: int
) -> NDArray[np.int64]:
    """(num_images,) how many of those in `which` each image has."""
    return np.bincount(image[which], minlength=num_images).astype(np.int64)


def tally(
    overlaps: Overlaps,
    passes: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]],
    kinds: Mapping[str, int],
    found_ignored: NDArray[np.bool_] | None = None,
) -> Tally:
    """The count of matched pairs.

    Args:
        overlaps: The overlaps of the set.
        passes: For each threshold (k,) places of the pairs that match, and each one's credit as a
            region and as a detection.
        kinds: Numbers of matches by kind.
        found_ignored: (n,) detections that do not count; by ICDAR 2015's rule where None.
    """
    ignored = overlaps.found_ignored if found_ignored is None else found_ignored
    truth, num = overlaps.truth, len(overlaps.truth.images)
    credits = [
        [
            np.bincount(truth.image[overlaps.i[pairs]], weights=credit, minlength=num).astype(float)
            for credit in (region, detection)
        ]
        for pairs, region, detection in passes
    ]
    return Tally(
        np.array([region for region, _ in credits]),
        np.array([detection for _, detection in credits]),
        counted(truth.image, ~truth.ignored, num),
        counted(overlaps.found_image, ~ignored, num),
        kinds,
    )


def summed(tally: Tally, overlaps: Overlaps, protocol: str) -> Scores:
    """The scores that a count adds up to, over all images (micro average)."""
    truth = overlaps.truth
    recall = _share(tally.truth_credit.sum(axis=1), tally.num_truth.sum())
    precision = _share(tally.found_credit.sum(axis=1), tally.num_found.sum())
    num_truth, num_found = int(tally.num_truth.sum()), int(tally.num_found.sum())
    return Scores(
        recall=float(recall.mean()),
        precision=float(precision.mean()),
        hmean=float(_hmean(recall, precision).mean()),
        protocol=protocol,
        truth_digest=truth.digest,
        counts={
            "truth": num_truth,
            "truth_ignored": len(truth.ignored) - num_truth,
            "found": num_found,
            "found_ignored": len(overlaps.found) - num_found,
            **tally.kinds,
        },
        images=_by_image(tally, truth.images),
    )


def _by_image(tally: Tally, names: tuple[str, ...]) -> dict[str, ImageScores]:
    some_truth, some_found = tally.num_truth > 0, tally.num_found > 0
    recall = np.where(some_truth, _share(tally.truth_credit, tally.num_truth), 1.0)
    # Without regions every detection is wrong; without both nothing is.
    precision = np.where(some_truth | some_found, _share(tally.found_credit, tally.num_found), 1.0)
    hmean = _hmean(recall, precision).mean(axis=0)
    return {
        name: ImageScores(*values)
        for name, values in zip(
            names,
            zip(
                recall.mean(axis=0).tolist(),
                precision.mean(axis=0).tolist(),
                hmean.tolist(),
                tally.num_truth.tolist(),
                tally.num_found.tolist(),
                strict=True,
            ),
            strict=True,
        )
    }


def _share(credit: NDArray[np.float64], number: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.divide(credit, number, out=np.zeros_like(credit), where=number > 0)


def _hmean(recall: NDArray[np.float64], precision: NDArray[np.float64]) -> NDArray[np.float64]:
    total = recall + precision
    return np.divide(2 * recall * precision, total, out=np.zeros_like(total), where=total > 0)
