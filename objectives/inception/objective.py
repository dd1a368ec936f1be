"""IS, FID and KID of a candidate generator, of one look at its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from objectives.base import Candidate, Goal, Needs, Recalibration, Value
from objectives.inception.scorer import Scorer

Kind = Literal["is", "fid", "kid"]
_GOALS: dict[str, Goal] = {"is": Goal.MAXIMIZE, "fid": Goal.MINIMIZE, "kid": Goal.MINIMIZE}


class GenerativeScores:
    """The scores of the candidate's own generator; "is", "fid" and "kid" alone are the published
    kind, on the published network.

    The subnet is measured in eval mode with the weights it inherits. `recalibrate` recomputes its
    batch-norm statistics: those of a supernet mix all its paths. Deterministic on one kind of
    machine.

    Attributes:
        tolerance: Difference that two measurements of one candidate may have.
    """

    tolerance = 1e-6

    def __init__(
        self,
        scorer: Scorer,
        recalibrate: Recalibration | None,
        *,
        kinds: Sequence[Kind] = ("is", "fid", "kid"),
        needs: Needs | None = None,
    ) -> None:
        unknown = [kind for kind in kinds if kind not in _GOALS]
        if unknown or not kinds:
            raise ValueError(
                f"no generative scores {', '.join(unknown)!r}; there is {', '.join(_GOALS)}"
            )
        label = scorer.extractor.label
        names = {kind: f"{kind}@{label}" if label else kind for kind in kinds}
        self.name = f"scores@{label}" if label else "scores"
        self.yields = tuple(Value(name, "", _GOALS[kind]) for kind, name in names.items())
        self.needs = needs or Needs(cpus=1.0)
        self._names, self._scorer, self._recalibrate = names, scorer, recalibrate
        self._device: torch.device | None = None

    def open(self, device: torch.device) -> None:
        """Opens the extractor and the reference statistics."""
        if self._device is None:
            self._scorer.open(device)
            self._device = device

    def measure(self, candidate: Candidate) -> dict[str, float]:
        """The scores by name.

        Raises:
            MeasurementError: The generator computes NaN, or images of another shape.
        """
        if self._device is None:
            raise RuntimeError(f"{self.name} was not opened: call open(device) first")
        network = candidate.subnet.to(self._device)
        if self._recalibrate is not None:
            self._recalibrate(network, self._device)
        network.eval()
        found = self._scorer.scores(self._scorer.part(network, candidate.architecture.key))
        scores = {"is": found.inception_score, "fid": found.frechet, "kid": found.kernel}
        return {name: scores[kind] for kind, name in self._names.items()}
