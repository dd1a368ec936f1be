"""STL-10 (Coates et al. 2011): 5,000 + 8,000 labelled colour images of 96 x 96, 10 classes; torchvision reads and fetches them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evoray.data.images import Arrays, MemorySplit, opened, resized
from evoray.data.splitting import train_or_val
from evoray.data.torchvision_sets import root_of

_VAL_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Stl10:
    """STL-10's labelled images.

    Attributes:
        root: The folder given to torchvision; holds stl10_binary.
        image_size: Side in pixels.
        limit: At most so many training images.
    """

    root: Path
    image_size: int = 96
    limit: int | None = None
    name: str = "stl10"
    num_classes: int = 10
    mean: tuple[float, ...] = (0.447, 0.440, 0.407)
    std: tuple[float, ...] = (0.260, 0.257, 0.271)
    mirror: bool = True

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        return opened(self, split, _read)


def _dataset(root: Path, split: str, download: bool = False) -> Any:  # Any: torchvision's data sets are untyped
    from torchvision.datasets import STL10  # slow to import, and needed here only

    return STL10(str(root), split=split, download=download)


def _read(source: Stl10, split: str) -> Arrays:
    dataset = _dataset(source.root, "test" if split == "test" else "train")
    pixels, labels = np.asarray(dataset.data), np.asarray(dataset.labels, dtype=np.int64)
    if split != "test":
        chosen = train_or_val(labels, split, _VAL_SHARE, source.limit)
        pixels, labels = pixels[chosen], labels[chosen]
    return resized(np.ascontiguousarray(pixels), source.image_size), labels


def build(*, root: Path | None = None, image_size: int | None = None, limit: int | None = None, download: bool = False) -> Stl10:
    """STL-10 from `root`, EVORAY_DATA or the user's cache, fetched there first when `download` is set.

    Raises:
        FileNotFoundError: It is not there.
    """
    place = root_of(root)
    try:
        if download:
            _dataset(place, "train", download=True)
        elif not (place / "stl10_binary" / "train_X.bin").is_file():
            raise RuntimeError(f"no {place / 'stl10_binary' / 'train_X.bin'}")
    except RuntimeError as error:
        raise FileNotFoundError(
            f"data source 'stl10' is not in {place} ({error}): put torchvision's STL10 files there, or add --data.download to fetch them; "
            "image_folder reads any other images"
        ) from None
    return Stl10(root=place, image_size=image_size or 96, limit=limit)
