"""Noticing a generator that has collapsed. It is written down and never fatal: selection and weight
resetting deal with it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Collapse:
    """One observation.

    Attributes:
        step: Step of the observation.
        name: Key of the architecture, or name of the pair.
        reason: "loss is not finite", "images are not finite" or "images are alike".
        spread: Spread of the generated images, as a share of the real images'; NaN where they are
            not finite.
    """

    step: int
    name: str
    reason: str
    spread: float


class CollapseWatch:
    """Compares the spread of generated images with that of real ones.

    The spread is the standard deviation of each pixel over a batch, averaged over pixels: 0 where
    all images are the same.

    Attributes:
        seen: Collapses so far, oldest first.
    """

    def __init__(self, real_bchw: Tensor, *, threshold: float = 0.1) -> None:
        """`real_bchw` are images in [-1, 1]; below `threshold` x their spread generated images
        count as alike.
        """
        if not 0 < threshold < 1:
            raise ValueError(
                f"the threshold of a collapse must be between 0 and 1, got {threshold}"
            )
        self._real, self._threshold = spread(real_bchw), threshold
        if not self._real > 0:
            raise ValueError(
                f"the real images have spread {self._real}: at least two different ones are needed "
                "to compare with"
            )
        self.seen: list[Collapse] = []

    def look(self, step: int, name: str, images_bchw: Tensor) -> Collapse | None:
        """Returns the fault of these images, which `seen` keeps too, or None when there is none."""
        share = spread(images_bchw) / self._real
        if not math.isfinite(share):
            return self._note(Collapse(step, name, "images are not finite", math.nan))
        return (
            self._note(Collapse(step, name, "images are alike", share))
            if share < self._threshold
            else None
        )

    def lost(self, step: int, name: str) -> Collapse:
        """Writes down a step that changed nothing, because its loss was not finite."""
        return self._note(Collapse(step, name, "loss is not finite", math.nan))

    def records(self) -> list[dict[str, Any]]:
        """JSON: NaN becomes null."""
        return [
            {**asdict(c), "spread": c.spread if math.isfinite(c.spread) else None}
            for c in self.seen
        ]

    def restore(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Goes on after what `records` gave."""
        self.seen = [
            Collapse(**{**r, "spread": math.nan if r["spread"] is None else r["spread"]})
            for r in records
        ]

    def _note(self, collapse: Collapse) -> Collapse:
        self.seen.append(collapse)
        return collapse


def spread(images_bchw: Tensor) -> float:
    """Mean over the pixels of their standard deviation over the batch of at least two."""
    if len(images_bchw) < 2:
        raise ValueError(f"the spread needs at least 2 images, got {len(images_bchw)}")
    with torch.no_grad():
        return float(images_bchw.double().std(dim=0, unbiased=False).mean())
