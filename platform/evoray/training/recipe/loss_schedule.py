"""Weights of the parts of a detector's loss over the training; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields

FIRST_LOOK = ("text", "kernel")
SECOND_LOOK = ("centre_line", "scale", "character_angle", "line_angle")


@dataclass(frozen=True, kw_only=True)
class LossSchedule:
    """Factors of the loss's parts, and when the second look begins to learn. The papers' own are
    unknown.
    """

    text: float = 1.0
    """Factor of the loss of the text map; 0 switches that part off."""
    kernel: float = 1.0
    """Factor of the loss of the map of shrunk texts, which tells neighbours apart."""
    centre_line: float = 1.0
    """Factor of the loss of the centre line in each rectangle."""
    scale: float = 1.0
    """Factor of the loss of the characters' height."""
    character_angle: float = 1.0
    """Factor of the loss of the characters' direction, from the lower to the upper side."""
    line_angle: float = 1.0
    """Factor of the loss of the direction of reading."""
    first_alone: float = 0.0
    """Share of the training, 0 to 1, in which the first look is trained alone; annotated rectangles
    feed the second look from the start, so 0 does well.
    """
    proposals_from: float = 0.5
    """Share of the training, 0 to 1, from which the second look also learns on what the first one
    proposes, beside the annotated rectangles; 1 for never.
    """

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            is_share = one.name in ("first_alone", "proposals_from")
            if not 0.0 <= value <= (1.0 if is_share else float("inf")):
                raise ValueError(
                    f"losses.{one.name} must be at least 0{' and at most 1' if is_share else ''}, "
                    f"got {value}"
                )

    def weights(self, progress: float) -> dict[str, float]:
        """Factors by part at a share of the training."""
        parts = {name: float(getattr(self, name)) for name in (*FIRST_LOOK, *SECOND_LOOK)}
        if progress < self.first_alone:
            parts |= dict.fromkeys(SECOND_LOOK, 0.0)
        return parts
