"""IS, FID and KID of a candidate generator as objectives."""

from __future__ import annotations

from typing import Literal

import torch

from objectives.base import Candidate, Goal, Needs, Recalibration
from objectives.inception.scorer import Scorer

Kind = Literal["is", "fid", "kid"]
_GOALS: dict[str, Goal] = {"is": Goal.MAXIMIZE, "fid": Goal.MINIMIZE, "kid": Goal.MINIMIZE}


class GenerativeScore:
    """One score of the candidate's own generator; "is", "fid" and "kid" alone are the published
    kind, on the published network.

    The subnet is measured in eval mode with the weights it inherits. `recalibrate` recomputes its
    batch-norm statistics: those of a supernet mix all its paths. Deterministic on one kind of
    machine.

    Attributes:
        tolerance: By how much two measurements of one candidate may differ.
    """

    unit = ""
    tolerance = 1e-6

    def __init__(
        self,
        kind: Kind,
        scorer: Scorer,
        recalibrate: Recalibration | None,
        *,
        needs: Needs | None = None,
    ) -> None:
        if kind not in _GOALS:
            raise ValueError(f"no generative score {kind!r}; there is {', '.join(_GOALS)}")
        label = scorer.extractor.label
        self.name = f"{kind}@{label}" if label else kind
        self.goal = _GOALS[kind]
        self.needs = needs or Needs(cpus=1.0)
        self._kind, self._scorer, self._recalibrate = kind, scorer, recalibrate
        self._device: torch.device | None = None

    def open(self, device: torch.device) -> None:
        """Opens the extractor and the reference statistics."""
        if self._device is None:
            self._scorer.open(device)
            self._device = device

    def measure(self, candidate: Candidate) -> float:
        """The score.

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
        return {"is": found.inception_score, "fid": found.frechet, "kid": found.kernel}[self._kind]
