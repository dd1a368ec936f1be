"""Bounds within which images of text change in training; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TextAugmentation:
    """Bounds within which images of text change. DB's and TextSnake's recipes span factors of 0.5
    to 3 and 10 to 20 degrees.
    """

    scale: tuple[float, float] = (0.5, 2.0)
    """Least and greatest factor of the size, drawn evenly on a logarithmic axis.
    Generated images, which vary already, want less.
    """
    degrees: float = 10.0
    """Greatest turn to either side, in degrees."""
    mirror: float = 0.0
    """Share of images that are mirrored, 0 to 1; text is not read that way."""
    colour: float = 0.2
    """Greatest change of contrast, as a share, and of each channel's level, in standard deviations.
    """
    attempts: int = 10
    """Crops that are drawn for an image, of which the one that cuts the fewest texts is taken."""

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0.0 < low <= high < float("inf"):
            raise ValueError(f"scale is two factors above 0, the lower one first, got {self.scale}")
        if not 0.0 <= self.mirror <= 1.0 or not 0.0 <= self.colour < 1.0:
            raise ValueError(
                "mirror lies between 0 and 1, colour between 0 and below 1, got "
                f"{self.mirror!r} and {self.colour!r}"
            )
        if self.degrees < 0.0 or self.attempts < 1:
            raise ValueError(
                f"degrees is 0 or above and attempts 1 or above, got {self.degrees!r} and "
                f"{self.attempts!r}"
            )
