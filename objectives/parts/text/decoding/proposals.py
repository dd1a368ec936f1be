"""Rectangles of the first look: components of the kernel map, grown back and padded.

DB's way from a shrunk kernel to a box, with rotated rectangles (our reconstruction).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.rectangles import Rectangles, grown, min_area_rectangles, padded

Array = NDArray[np.float64]
MAP_STRIDE = 4  # pixels of the input for one of the maps


@dataclass(frozen=True, eq=False)
class Components:
    """Kernels of one image, best first; independent of the growth of their rectangles.

    Attributes:
        rectangles: (k, 6) around each kernel's pixels, in pixels of the input, not grown.
        scores: (k,) mean kernel probability of its pixels.
        labels: (h, w) number of the component that a pixel of the map belongs to, from 1 on; 0
            for none.
        numbers: (k,) their numbers in `labels`.
    """

    rectangles: Rectangles
    scores: Array
    labels: NDArray[np.int32]
    numbers: NDArray[np.int64]


def components(
    kernel: NDArray[np.floating], settings: DecodingSettings, stride: int = MAP_STRIDE
) -> Components:
    """The kernels of a map of (h, w) probabilities, at most `max_proposals`, those of the highest
    scores, however many there are; the score threshold is not applied.

    Pixels of a component share sides: where corners did, kernels of neighbours would meet more
    often (.964 of CTW1500's labels stay apart at stride 4, .958 with corners).
    """
    labels, count = ndimage.label(kernel > settings.kernel_threshold)
    row, column = np.nonzero(labels)
    owner = labels[row, column]
    sizes = np.bincount(owner, minlength=count + 1)
    sums = np.bincount(owner, kernel[row, column], minlength=count + 1)
    numbers = np.flatnonzero(sizes >= settings.min_pixels)
    scores = sums[numbers] / sizes[numbers]
    best = np.argsort(-scores, kind="stable")[: settings.max_proposals]
    numbers, scores = numbers[best], scores[best]
    rank = np.full(count + 1, -1)
    rank[numbers] = np.arange(len(numbers))
    kept = rank[owner] >= 0
    owner, row, column = rank[owner[kept]], row[kept], column[kept]
    points, owner = _ends_of_rows(owner, row, column)
    around = min_area_rectangles(shapely.multipoints(points, indices=owner))
    # A pixel is a square, not its centre: half a pixel more on every side.
    around[:, 4:] += 1.0
    around[:, [0, 1, 4, 5]] *= stride
    return Components(around, scores, labels, numbers)


def _ends_of_rows(
    owner: NDArray[np.int64], row: NDArray[np.int64], column: NDArray[np.int64]
) -> tuple[Array, NDArray[np.int64]]:
    """First and last pixel centre of each row of each component, sorted by component: no other
    one is a corner of its hull.
    """
    order = np.argsort(owner, kind="stable")  # rows stay sorted within a component
    owner, row, column = owner[order], row[order], column[order]
    new = np.flatnonzero((np.diff(owner) != 0) | (np.diff(row) != 0)) + 1
    first = np.concatenate([[0], new]) if len(owner) else new
    last = np.concatenate([new - 1, [len(owner) - 1]]) if len(owner) else new
    at = np.concatenate([first, last])
    at = at[np.argsort(owner[at], kind="stable")]
    return np.stack([column[at] + 0.5, row[at] + 0.5], axis=1), owner[at]


def as_rois(found: Components, settings: DecodingSettings) -> Rectangles:
    """(k, 6) rectangles that the second look samples: grown by `unclip`, then padded."""
    return padded(grown(found.rectangles, settings.unclip), settings.padding)


def roi_rows(rectangles: list[Rectangles]) -> NDArray[np.float32]:
    """(k, 7) rows of the RoIs of a batch: the image's index before the rectangle."""
    rows = [
        np.column_stack([np.full(len(some), index, dtype=np.float64), some])
        for index, some in enumerate(rectangles)
    ]
    return np.concatenate([np.zeros((0, 7)), *rows]).astype(np.float32)
