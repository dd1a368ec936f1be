"""Pictures of any size as squares: scaled so that the long side fits, the rest black at the right
and bottom.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def scale_of(height: int, width: int, size: int) -> float:
    """Factor from a picture's pixels to those of its square."""
    return size / max(height, width)


def letterboxed(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(h, w, 3) -> (3, size, size), at exactly `scale_of` on both axes; a side that would vanish
    keeps one pixel.
    """
    height, width, _ = pixels.shape
    scale = scale_of(height, width, size)
    rows, columns = (max(1, int(side * scale + 1e-6)) for side in (height, width))
    # Whole pixels of the square need not end where the picture ends: the rest is cut off.
    box = (0.0, 0.0, min(width, columns / scale), min(height, rows / scale))
    picture = Image.fromarray(pixels).resize(
        (columns, rows), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0
    )
    square = np.zeros((3, size, size), dtype=np.uint8)
    square[:, :rows, :columns] = np.asarray(picture).transpose(2, 0, 1)
    return square
