"""Lines of text bent along curves whose formula can be inverted, so that polygons and pixels come
from the same one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from objectives.parts.text.regions import Polygon

Numbers = NDArray[np.float64]
_TOLERANCE = 0.02  # distance of a polygon's edges from the curve, in heights of the line


class Curve(Protocol):
    """The centre line of a text about the origin, at x from -L/2 to L/2 along it; "across" is the
    signed distance from it, downwards.
    """

    def bent(self, along: Numbers, across: Numbers) -> tuple[Numbers, Numbers]:
        """Maps the straight strip to the plane: x and y."""
        ...

    def unbent(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Inverts `bent`."""
        ...

    def num_edges(self, length: float, height: float) -> int:
        """Edges of equal length along the line that stay near the curve on both sides."""
        ...


@dataclass(frozen=True)
class Arc:
    """A part of a circle; strokes stand at right angles to it.

    Attributes:
        radius: Radius of the centre line; above 0 its ends bend downwards, below 0 upwards.
    """

    radius: float

    def bent(self, along: Numbers, across: Numbers) -> tuple[Numbers, Numbers]:
        angle, rho = along / self.radius, self.radius - across
        return rho * np.sin(angle), self.radius - rho * np.cos(angle)

    def unbent(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        side = math.copysign(1.0, self.radius)
        down = self.radius - y
        angle = np.arctan2(side * x, side * down)
        return self.radius * angle, self.radius - side * np.hypot(x, down)

    def num_edges(self, length: float, height: float) -> int:
        outer = abs(self.radius) + height / 2
        step = 2 * math.acos(1 - min(1.0, _TOLERANCE * height / outer))
        return max(2, math.ceil(length / abs(self.radius) / step))


@dataclass(frozen=True)
class Wave:
    """A part of a sine; strokes stay upright, as where letters are shifted along it.

    Attributes:
        amplitude: In pixels; 0 for a straight line.
        frequency: Radians a pixel.
        phase: Radians at the middle of the line.
    """

    amplitude: float = 0.0
    frequency: float = 0.0
    phase: float = 0.0

    def bent(self, along: Numbers, across: Numbers) -> tuple[Numbers, Numbers]:
        return along, across + self._height(along)

    def unbent(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        return x, y - self._height(x)

    def num_edges(self, length: float, height: float) -> int:
        curvature = abs(self.amplitude) * self.frequency**2
        if curvature * length**2 < 8 * _TOLERANCE * height:
            return 1
        return math.ceil(length / math.sqrt(8 * _TOLERANCE * height / curvature))

    def _height(self, along: Numbers) -> Numbers:
        if not self.amplitude:
            return np.zeros_like(along)
        return self.amplitude * np.sin(self.frequency * along + self.phase)


@dataclass(frozen=True)
class Strip:
    """A line of text in an image, addressed by shares: 0 to 1 along it, and 0 (top) to 1 (bottom)
    across.

    Attributes:
        length: Length of its centre line, in pixels.
        height: Height in its middle, in pixels.
        curve: Its centre line.
        taper: Heights by which the right end is higher than the middle; the left end is as much
            lower.
        matrix: (a, b, c, d): turns and slants what the curve gives.
        offset: Place of its middle in the image.
    """

    length: float
    height: float
    curve: Curve
    taper: float = 0.0
    matrix: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)

    def points(self, along: Numbers, across: Numbers) -> Numbers:
        """(n,) and (n,) shares -> (n, 2) pixels."""
        width = self.height * (1 + self.taper * (2 * along - 1))
        x, y = self.curve.bent((along - 0.5) * self.length, (across - 0.5) * width)
        a, b, c, d = self.matrix
        return np.stack([a * x + b * y + self.offset[0], c * x + d * y + self.offset[1]], axis=-1)

    def shares(self, x: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
        """Inverts `points`, for pixels not farther from the line than its centre of curvature."""
        a, b, c, d = self.matrix
        x, y = x - self.offset[0], y - self.offset[1]
        scale = 1.0 / (a * d - b * c)
        along, across = self.curve.unbent((d * x - b * y) * scale, (a * y - c * x) * scale)
        along = along / self.length + 0.5
        width = self.height * (1 + self.taper * (2 * along - 1))
        return along, across / width + 0.5

    def polygon(self) -> Polygon:
        """(2 n, 2): the upper side from left to right, then the lower one back."""
        edges = self.curve.num_edges(self.length, self.height * (1 + abs(self.taper)))
        along = np.linspace(0.0, 1.0, edges + 1)
        upper = self.points(along, np.zeros_like(along))
        return np.concatenate([upper, self.points(along, np.ones_like(along))[::-1]])
