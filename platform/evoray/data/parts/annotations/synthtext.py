"""SynthText's one `gt.mat`: `imnames`, `wordBB` of 2 x 4 x n corners (2 x 4 of a single word), and
`txt`, strings of several words each. Boxes may leave the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evoray.data.parts.annotations.parts.matlab import variables, word
from evoray.data.parts.annotations.parts.members import Member
from objectives.parts.text.regions import ImageRegions, TextRegion

_NEEDED = ("imnames", "wordBB", "txt")


def fits(members: Sequence[Member]) -> bool:
    """True where it is one MATLAB file with its variables."""
    return len(members) == 1 and members[0].suffix == ".mat" and "wordBB" in variables(members[0])


def read(members: Sequence[Member]) -> list[ImageRegions]:
    """The words of each image, by the path that SynthText gives it.

    Raises:
        ValueError: Variables are missing or disagree; names the file and the image.
    """
    found = []
    for member in members:
        stored = variables(member)
        missing = [name for name in _NEEDED if name not in stored]
        if missing:
            raise ValueError(f"{member.where}: SynthText needs {', '.join(missing)}")
        names, boxes, texts = (np.ravel(stored[name]) for name in _NEEDED)
        if not len(names) == len(boxes) == len(texts):
            raise ValueError(
                f"{member.where}: imnames, wordBB and txt need one entry an image each, got "
                f"{len(names)}, {len(boxes)} and {len(texts)}"
            )
        for name, box, text in zip(names, boxes, texts, strict=True):
            image = word(name)
            words = " ".join(str(line) for line in np.ravel(text)).split()
            found.append(ImageRegions(image, _regions(box, words, f"{member.where}, {image}")))
    return found


def _regions(
    boxes: np.ndarray[tuple[int, ...], np.dtype[np.float64]], words: list[str], where: str
) -> tuple[TextRegion, ...]:
    corners = boxes[:, :, None] if boxes.ndim == 2 else boxes
    if corners.ndim != 3 or corners.shape[:2] != (2, 4) or corners.shape[2] != len(words):
        raise ValueError(
            f"{where}: wordBB needs the shape (2, 4, n) for n = {len(words)} words, "
            f"got {boxes.shape}"
        )
    polygons = np.moveaxis(corners, (2, 1), (0, 1)).astype(np.float64)
    return tuple(TextRegion(polygon, text) for polygon, text in zip(polygons, words, strict=True))
