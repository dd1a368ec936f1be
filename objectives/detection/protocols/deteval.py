"""Total-Text's DetEval: matches of one region with one detection, with several, and the reverse.

Wolf and Jolion 2006, "Object count/area graphs", as Total-Text's script has it (Ch'ng and Chan
2017). `deteval` is the pair of thresholds recommended for polygons, .7 of the region and .6 of the
detection; `deteval:0.8,0.4` is the older one of the TextSnake era. Figures of the two cannot be
compared: growing all detections by a third can swap the ranking of two networks.

Where that script departs from the paper, so do we: coverage is rounded to two decimals, a merge
asks for the detection's threshold on the regions too, and the best pair of a one-to-one match is
told by coverage of the region alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from objectives.detection.overlaps import Overlaps
from objectives.detection.protocols import Protocol
from objectives.detection.scores import Tally, counted
from objectives.detection.total_text import Filtered, images_of

_SEVERAL = 2  # regions or detections that a split or merge needs
_CREDIT = 0.8  # of each region or detection in a split or merge


def build(recall: float = 0.7, precision: float = 0.6) -> Protocol:
    """The protocol at a pair of thresholds.

    Args:
        recall: Share of a region that must be covered.
        precision: Share of a detection that must be covered.

    Raises:
        ValueError: A threshold is not in (0, 1).
    """
    if not (0 < recall < 1 and 0 < precision < 1):
        raise ValueError(
            f"DetEval needs two thresholds between 0 and 1, got {recall} and {precision}"
        )

    def protocol(overlaps: Overlaps) -> Tally:
        return _count(overlaps, recall, precision)

    return protocol


def _count(overlaps: Overlaps, recall: float, precision: float) -> Tally:
    those = Filtered.of(overlaps)
    truth, num = overlaps.truth, len(overlaps.truth.images)
    i, j = overlaps.i[those.pairs], overlaps.j[those.pairs]
    sigma = np.round(those.shared / truth.polygons.areas[i], 2)
    tau = np.round(those.shared / overlaps.found.areas[j], 2)
    credit = np.zeros((2, num))
    kinds: Counter[str] = Counter({"one_to_one": 0, "one_to_many": 0, "many_to_one": 0})
    for part in images_of(overlaps, those.pairs):
        image = _Image(
            _matrix(i[part], j[part], sigma[part]),
            _matrix(i[part], j[part], tau[part]),
            recall,
            precision,
        )
        image.one_to_one()
        image.splits()
        image.merges()
        credit[:, truth.image[i[part.start]]] = image.credit
        kinds.update(image.kinds)
    return Tally(
        credit[:1],
        credit[1:],
        counted(truth.image, ~truth.ignored, num),
        counted(overlaps.found_image, ~those.found_ignored, num),
        dict(kinds),
    )


def _matrix(
    i: NDArray[np.int64], j: NDArray[np.int64], value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(regions, detections) of one image that overlap anything; others match nothing."""
    rows, row = np.unique(i, return_inverse=True)
    columns, column = np.unique(j, return_inverse=True)
    matrix = np.zeros((len(rows), len(columns)))
    matrix[row, column] = value
    return matrix


@dataclass(eq=False)
class _Image:
    """One image's passes.

    Attributes:
        sigma: (r, c) share of each region that each detection covers.
        tau: (r, c) share of each detection that each region covers.
        recall: Threshold of sigma.
        precision: Threshold of tau.
        credit: Credit of regions and of detections, so far.
        kinds: Matches by kind, so far.
    """

    sigma: NDArray[np.float64]
    tau: NDArray[np.float64]
    recall: float
    precision: float
    credit: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.region_free = np.ones(self.sigma.shape[0], dtype=np.bool_)
        self.found_free = np.ones(self.sigma.shape[1], dtype=np.bool_)

    def one_to_one(self) -> None:
        covered, inside = self.sigma > self.recall, self.tau > self.precision
        for row in range(len(self.sigma)):
            by_sigma, by_tau = np.flatnonzero(covered[row]), np.flatnonzero(inside[row])
            if (
                len(by_sigma) == 1
                and len(by_tau) == 1
                and covered[:, by_sigma[0]].sum() == 1
                and inside[:, by_tau[0]].sum() == 1
            ):
                self._match("one_to_one", row, by_sigma, (1.0, 1.0))

    def splits(self) -> None:
        """Regions that several detections cover together."""
        for row in np.flatnonzero((self.sigma > 0).sum(axis=1) >= _SEVERAL):
            if not self.region_free[row]:
                continue
            part = np.flatnonzero((self.tau[row] >= self.precision) & self.found_free)
            if len(part) == 1:
                if self.sigma[row, part[0]] >= self.recall:
                    self._match("one_to_one", row, part, (1.0, 1.0))
            elif self.sigma[row, part].sum() >= self.recall:
                self._match("one_to_many", row, part, (_CREDIT, _CREDIT * len(part)))

    def merges(self) -> None:
        """Detections that several regions cover together."""
        for column in np.flatnonzero((self.tau > 0).sum(axis=0) >= _SEVERAL):
            if not self.found_free[column]:
                continue
            part = np.flatnonzero((self.sigma[:, column] >= self.precision) & self.region_free)
            if len(part) == 1:
                row = part[0]
                if (
                    self.tau[row, column] >= self.precision
                    and self.sigma[row, column] >= self.recall
                ):
                    self._match("one_to_one", part, column, (1.0, 1.0))
            elif self.tau[part, column].sum() >= self.precision:
                self._match("many_to_one", part, column, (_CREDIT * len(part), _CREDIT))

    def _match(
        self,
        kind: str,
        rows: NDArray[np.int64] | np.int64 | int,
        columns: NDArray[np.int64] | np.int64 | int,
        credit: tuple[float, float],
    ) -> None:
        self.region_free[rows] = False
        self.found_free[columns] = False
        self.credit += credit
        self.kinds[kind] += 1
