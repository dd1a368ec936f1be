"""Intersection over union of a segmentation network's foreground, its batch norm recalibrated
first.
"""

from __future__ import annotations

from objectives.base import Candidate, Goal, LabelledSource, Needs, Recalibration
from objectives.parts.labelled import LabelledImages


class IntersectionOverUnion(LabelledImages):
    """Foreground pixels found and there, over those found or there, summed over one split, in
    percent. Deterministic on one machine.

    The source's labels are (n, h, w) with 1 for foreground; the network gives logits (b, 2, h, w),
    background and foreground, or (b, 1, h, w), foreground above 0.

    Attributes:
        tolerance: Difference that two measurements of one candidate may have, in percent points.
    """

    name = "iou"
    unit = "%"
    goal = Goal.MAXIMIZE
    tolerance = 0.0

    def measure(self, candidate: Candidate) -> float:
        """0 where nothing is foreground in either.

        Raises:
            MeasurementError: A logit is not finite.
        """
        return self.measure_part(candidate, 1.0)

    def measure_part(self, candidate: Candidate, share: float) -> float:
        """The same on the first images of a fixed random order of them.

        Raises:
            MeasurementError: A logit is not finite.
        """
        both = either = 0
        for logits_bkhw, labels_bhw in self._outputs(
            candidate, share
        ):  # b batch, k maps, h height, w width
            found = (
                logits_bkhw[:, 0] > 0
                if logits_bkhw.shape[1] == 1
                else logits_bkhw[:, 1] > logits_bkhw[:, 0]
            )
            there = labels_bhw == 1
            both += int((found & there).sum())
            either += int((found | there).sum())
        return 100.0 * both / max(either, 1)


def build(
    source: LabelledSource,
    recalibrate: Recalibration | None = None,
    split: str = "val",
    limit: int | None = None,
    needs: Needs | None = None,
) -> IntersectionOverUnion:
    """Intersection over union on `split` of `source`, of at most `limit` of its images."""
    return IntersectionOverUnion(source, recalibrate, split=split, limit=limit, needs=needs)
