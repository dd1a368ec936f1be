"""STL-10 (Coates, Ng and Lee 2011): 5,000 labelled, 8,000 test and 100,000 unlabelled colour images
of 96 x 96, 10 classes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evoray.data.parts.contents import Contents, of_files
from evoray.data.parts.images import Arrays, MemorySplit, data_folder, opened, resized
from evoray.data.parts.splitting import train_or_val

_SIDE = 96
_VAL_SHARE = 0.1
_UNLABELLED = "unlabelled"
_EXPECTED = (
    "stl10_binary/ with train_X.bin, train_y.bin, test_X.bin, test_y.bin and, for generators, "
    "unlabeled_X.bin"
)
_CHUNK = 2000  # images that are in memory at their full size


@dataclass(frozen=True, kw_only=True)
class Stl10:
    """STL-10's binary files.

    Attributes:
        folder: Holds them.
        image_size: Side in pixels.
        limit: At most so many training images, and as many unlabelled ones.
    """

    folder: Path
    image_size: int = 96
    limit: int | None = None
    name: str = "stl10"
    num_classes: int = 10
    mean: tuple[float, ...] = (0.4467, 0.4398, 0.4066)
    std: tuple[float, ...] = (0.2603, 0.2566, 0.2713)
    mirror: bool = True

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    @property
    def unlabelled_splits(self) -> tuple[str, ...]:
        """Splits beside "train", "val" and "test" whose labels are all -1: "unlabelled", where that
        file is there.
        """
        return (_UNLABELLED,) if (self.folder / "unlabeled_X.bin").is_file() else ()

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        return opened(self, split, _read)

    def contents(self) -> Contents:
        names = ("train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "unlabeled_X.bin")
        return of_files(
            (name, self.folder / name) for name in names if (self.folder / name).is_file()
        )


def _read(source: Stl10, split: str) -> Arrays:
    part = {"test": "test", _UNLABELLED: "unlabeled"}.get(split, "train")
    count = (source.folder / f"{part}_X.bin").stat().st_size // (3 * _SIDE**2)
    if split == _UNLABELLED:
        chosen = np.arange(count if source.limit is None else min(count, source.limit))
        labels = np.full(count, -1, dtype=np.int64)
    else:
        labels = np.fromfile(source.folder / f"{part}_y.bin", dtype=np.uint8).astype(np.int64) - 1
        chosen = (
            np.arange(count)
            if split == "test"
            else train_or_val(labels, split, _VAL_SHARE, source.limit)
        )
    stored = np.memmap(
        source.folder / f"{part}_X.bin", dtype=np.uint8, mode="r", shape=(count, 3, _SIDE, _SIDE)
    )
    parts = []
    for start in range(
        0, len(chosen), _CHUNK
    ):  # a column of pixels after the other, as MATLAB stores them
        columns_first = stored[chosen[start : start + _CHUNK]]
        parts.append(
            resized(np.ascontiguousarray(columns_first.transpose(0, 1, 3, 2)), source.image_size)
        )
    return np.concatenate(parts), labels[chosen]


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> Stl10:
    """STL-10 from `root`, from EVORAY_DATA, or fetched by torchvision into `root` when `download`
    is set.

    Raises:
        FileNotFoundError: It is not there.
    """
    if download:
        from torchvision.datasets import STL10  # slow to import, and needed here only

        root = root or Path.home() / ".cache" / "evoray"
        STL10(str(root), split="train+unlabeled", download=True)
    folder = data_folder(
        root,
        os.environ.get("EVORAY_DATA", ""),
        ("stl10_binary", "stl10/stl10_binary", "train_X.bin"),
        "stl10",
        _EXPECTED,
    )
    return Stl10(
        folder=folder.parent if folder.name == "train_X.bin" else folder,
        image_size=image_size or _SIDE,
        limit=limit,
    )
