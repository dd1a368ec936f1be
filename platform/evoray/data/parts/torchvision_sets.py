"""Data sets that torchvision reads and fetches, as sources."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evoray.data.parts.contents import Contents, of_arrays
from evoray.data.parts.images import Arrays, MemorySplit, opened, resized
from evoray.data.parts.splitting import train_or_val

_VAL_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class TorchvisionSource:
    """One of torchvision's classes in its own layout.

    Attributes:
        folder: Given to torchvision.
        dataset: Name of the class in torchvision.datasets.
    """

    folder: Path
    dataset: str
    name: str
    num_classes: int
    channels: int
    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    mirror: bool = True
    limit: int | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self.channels, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        return opened(self, split, _read)

    def contents(self) -> Contents:
        parts = [_dataset(self, train=train) for train in (True, False)]
        return of_arrays(
            np.asarray(values) for part in parts for values in (part.data, part.targets)
        )


def check_present(source: TorchvisionSource, download: bool) -> TorchvisionSource:
    """The source when torchvision finds its files, fetching them first when `download` is set.

    Raises:
        FileNotFoundError: They are not there.
    """
    try:
        _dataset(source, train=True, download=download)
    except RuntimeError as error:
        raise FileNotFoundError(
            f"data source {source.name!r} is not in {source.folder} ({error}): put torchvision's "
            f"{source.dataset} files there, "
            "or add --data.download to fetch them"
        ) from None
    return source


def root_of(root: Path | None) -> Path:
    """`root`, or EVORAY_DATA, or the user's cache."""
    named = os.environ.get("EVORAY_DATA", "")
    return root or (Path(named).absolute() if named else Path.home() / ".cache" / "evoray")


def _dataset(
    source: TorchvisionSource, *, train: bool, download: bool = False
) -> Any:  # Any: torchvision's data sets are untyped
    import torchvision.datasets  # slow to import, and needed here only

    return getattr(torchvision.datasets, source.dataset)(
        str(source.folder), train=train, download=download
    )


def _read(source: TorchvisionSource, split: str) -> Arrays:
    dataset = _dataset(source, train=split != "test")
    raw = np.asarray(dataset.data)
    pixels = raw[:, None] if raw.ndim == 3 else raw.transpose(0, 3, 1, 2)
    labels = np.asarray(dataset.targets, dtype=np.int64)
    if split != "test":
        chosen = train_or_val(labels, split, _VAL_SHARE, source.limit)
        pixels, labels = pixels[chosen], labels[chosen]
    return resized(np.ascontiguousarray(pixels), source.image_size), labels
