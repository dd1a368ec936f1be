"""Nuclei in microscope images, to be segmented: the 2018 Data Science Bowl (BBBC038, Caicedo et al.
2019, doi:10.1038/s41592-019-0612-7).
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evoray.data.parts.contents import Contents, of_files
from evoray.data.parts.images import Arrays, MemorySplit, data_folder, opened, resized
from evoray.data.parts.splitting import limited, train_or_val

_EXPECTED = (
    "nuclei/ with stage1_train/IMAGE/images/*.png and stage1_train/IMAGE/masks/*.png, and "
    "split.csv if wanted"
)
_VAL_SHARE = 0.2


@dataclass(frozen=True, kw_only=True)
class Nuclei:
    """Microscope images in the competition's layout; labels are (n, h, w), 1 where any mask of the
    image is.

    `split.csv` (columns image_id, split) decides what is "train" and "val", without it a fifth is
    "val"; there is no "test".

    Attributes:
        folder: Holds stage1_train.
        image_size: Side in pixels that images and masks are brought to.
        limit: At most so many training images.
    """

    folder: Path
    image_size: int = 128
    limit: int | None = None
    name: str = "nuclei"
    task: str = "segmentation"
    num_classes: int = 2
    mean: tuple[float, ...] = (0.25, 0.25, 0.25)
    std: tuple[float, ...] = (0.28, 0.28, 0.28)
    mirror: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        if split == "test":
            raise ValueError(
                "data source 'nuclei' has no test part: the competition never published its own; "
                "use 'val'"
            )
        return opened(self, split, _read)

    def contents(self) -> Contents:
        files = [self.folder / "split.csv", *(self.folder / "stage1_train").rglob("*.png")]
        return of_files(
            (file.relative_to(self.folder).as_posix(), file) for file in files if file.is_file()
        )


def _read(source: Nuclei, split: str) -> Arrays:
    images = _chosen(source, split)
    pixels = np.concatenate(
        [_picture(source.folder / "stage1_train" / name, source.image_size) for name in images]
    )
    masks = np.stack(
        [_mask(source.folder / "stage1_train" / name, source.image_size) for name in images]
    )
    return pixels, masks


def _chosen(source: Nuclei, split: str) -> list[str]:
    """Names of a split's images, sorted."""
    names = sorted(
        path.name for path in (source.folder / "stage1_train").iterdir() if path.is_dir()
    )
    table = source.folder / "split.csv"
    same = np.zeros(len(names), dtype=np.int64)
    if not table.is_file():
        return [names[i] for i in train_or_val(same, split, _VAL_SHARE, source.limit)]
    with table.open(encoding="utf-8") as lines:
        of = {row["image_id"]: row["split"] for row in csv.DictReader(lines)}
    names = [name for name in names if of.get(name) == split]
    if not names:
        raise FileNotFoundError(
            f"{table} names no {split!r} image of those in {source.folder / 'stage1_train'}"
        )
    return (
        [names[i] for i in limited(same[: len(names)], source.limit)] if split == "train" else names
    )


def _picture(folder: Path, size: int) -> NDArray[np.uint8]:
    """(1, 3, size, size)."""
    file = next(iter(sorted((folder / "images").glob("*.png"))), folder / "images" / "*.png")
    return resized(
        np.ascontiguousarray(np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)[None]),
        size,
    )


def _mask(folder: Path, size: int) -> NDArray[np.int64]:
    """(size, size), 1 where at least half of what became the pixel was nucleus."""
    masks = [
        np.asarray(Image.open(file).convert("L"))
        for file in sorted((folder / "masks").glob("*.png"))
    ]
    union = np.maximum.reduce(masks)
    return np.asarray(
        resized(np.ascontiguousarray(union[None, None]), size)[0, 0] >= 128, dtype=np.int64
    )


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> Nuclei:
    """Nuclei from `root` or EVORAY_DATA.

    Raises:
        FileNotFoundError: They are not there.
        ValueError: They should be downloaded, which needs an account of the competition.
    """
    if download:
        raise ValueError(
            "data source 'nuclei' cannot be fetched: get stage1_train of the 2018 Data Science "
            "Bowl (BBBC038), and --data.root"
        )
    found = data_folder(
        root,
        os.environ.get("EVORAY_DATA", ""),
        ("stage1_train", "nuclei/stage1_train"),
        "nuclei",
        _EXPECTED,
    )
    return Nuclei(folder=found.parent, image_size=image_size or 128, limit=limit)
