"""Top-1 accuracy of a candidate's own sub-network, its batch norm recalibrated first."""

from __future__ import annotations

from objectives.base import Candidate, Goal, LabelledSource, Needs, Recalibration
from objectives.parts.labelled import LabelledImages


class Accuracy(LabelledImages):
    """Share of correctly classified images of one split, in percent. Deterministic on one kind
    of machine.

    Attributes:
        tolerance: Difference that two measurements of one candidate may have, in percent points.
    """

    name = "accuracy"
    unit = "%"
    goal = Goal.MAXIMIZE
    tolerance = 0.0

    def measure(self, candidate: Candidate) -> float:
        """Percent of the images of which the largest logit is the label's.

        Raises:
            MeasurementError: A logit is not finite.
        """
        return self.measure_part(candidate, 1.0)

    def measure_part(self, candidate: Candidate, share: float) -> float:
        """The same on the first images of a fixed random order of them; the calibration costs what
        it costs.

        Raises:
            MeasurementError: A logit is not finite.
        """
        correct = total = 0
        for logits_bk, labels in self._outputs(candidate, share):  # b batch, k classes
            correct += int((logits_bk.argmax(dim=1) == labels).sum())
            total += len(labels)
        return 100.0 * correct / total


def build(
    source: LabelledSource,
    recalibrate: Recalibration | None = None,
    split: str = "val",
    limit: int | None = None,
    needs: Needs | None = None,
) -> Accuracy:
    """Accuracy on `split` of `source`, of at most `limit` of its images."""
    return Accuracy(source, recalibrate, split=split, limit=limit, needs=needs)
