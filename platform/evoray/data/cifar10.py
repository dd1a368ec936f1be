"""CIFAR-10 (Krizhevsky 2009): 50,000 + 10,000 colour images of 32 x 32, 10 classes; from pickled
batches or lossless WebP sheets.
"""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from evoray.data.parts.contents import Contents, of_files
from evoray.data.parts.images import Arrays, MemorySplit, data_folder, opened, resized
from evoray.data.parts.splitting import train_or_val

_TRAIN = [f"data_batch_{n}" for n in range(1, 6)]
_EXPECTED = (
    "cifar-10-batches-py/ (the distribution's pickles, also torchvision's layout) or "
    "data_batch_*.webp with labels.npz"
)
_VAL_SHARE = 0.1  # of the training images: 5,000 of the full set


@dataclass(frozen=True, kw_only=True)
class Cifar10:
    """CIFAR-10 in a folder.

    Attributes:
        folder: Holds the batches.
        image_size: Side in pixels.
        limit: At most so many training images.
    """

    folder: Path
    image_size: int = 32
    limit: int | None = None
    name: str = "cifar10"
    num_classes: int = 10
    mean: tuple[float, ...] = (0.4914, 0.4822, 0.4465)
    std: tuple[float, ...] = (0.2470, 0.2435, 0.2616)
    mirror: bool = True

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        return opened(self, split, _read)

    def contents(self) -> Contents:
        sheets = (self.folder / "labels.npz").is_file()
        names = (
            ["labels.npz", *(f"{name}.webp" for name in (*_TRAIN, "test_batch"))]
            if sheets
            else [*_TRAIN, "test_batch"]
        )
        return of_files(
            (name, self.folder / name) for name in names if (self.folder / name).is_file()
        )


def _read(source: Cifar10, split: str) -> Arrays:
    read = _read_sheets if (source.folder / "labels.npz").is_file() else _read_pickles
    pixels, labels = read(source.folder, split == "test")
    if split != "test":
        chosen = train_or_val(labels, split, _VAL_SHARE, source.limit)
        pixels, labels = pixels[chosen], labels[chosen]
    return resized(np.ascontiguousarray(pixels), source.image_size), labels


def _read_sheets(folder: Path, test: bool) -> Arrays:
    """Each sheet is a lossless picture of 100 x 100 tiles of 32 x 32 pixels, row by row; missing
    training sheets are left out.
    """
    stored = np.load(folder / "labels.npz", allow_pickle=False)
    names = ["test_batch"] if test else _TRAIN
    labels = stored["test_labels" if test else "train_labels"].astype(np.int64)
    pixels, kept = [], []
    for index, name in enumerate(names):
        file = folder / f"{name}.webp"
        if not file.is_file():
            continue
        sheet = np.asarray(Image.open(file).convert("RGB"))
        tiles = sheet.reshape(100, 32, 100, 32, 3).transpose(0, 2, 4, 1, 3)
        pixels.append(tiles.reshape(10_000, 3, 32, 32))
        kept.append(labels[index * 10_000 : (index + 1) * 10_000])
    if not pixels:
        raise FileNotFoundError(f"{folder} holds none of {', '.join(f'{n}.webp' for n in names)}")
    return np.concatenate(pixels), np.concatenate(kept)


def _read_pickles(folder: Path, test: bool) -> Arrays:
    pixels, labels = [], []
    for name in ["test_batch"] if test else _TRAIN:
        batch = _Unpickler(io.BytesIO((folder / name).read_bytes()), encoding="latin1").load()
        pixels.append(np.asarray(batch["data"], dtype=np.uint8).reshape(-1, 3, 32, 32))
        labels.append(np.asarray(batch["labels"], dtype=np.int64))
    return np.concatenate(pixels), np.concatenate(labels)


class _Unpickler(pickle.Unpickler):
    """Admits what a NumPy array is made of and nothing else: the distribution's format is a pickle,
    and a pickle can run code.
    """

    _ADMITTED = frozenset({"_reconstruct", "ndarray", "dtype"})

    def find_class(self, module: str, name: str) -> Any:  # Any: classes of NumPy
        if module.split(".")[0] == "numpy" and name in self._ADMITTED:
            return super().find_class(
                "numpy._core.multiarray" if name == "_reconstruct" else "numpy", name
            )
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(
            f"a CIFAR-10 batch holds {module}.{name}, which does not belong there: the file is not "
            "what it claims to be"
        )


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> Cifar10:
    """CIFAR-10 from `root`, from EVORAY_DATA, or fetched by torchvision into `root` when `download`
    is set.

    Raises:
        FileNotFoundError: It is not there.
    """
    if download:
        from torchvision.datasets import CIFAR10  # slow to import, and needed here only

        CIFAR10(str(root or Path.home() / ".cache" / "evoray"), download=True)
        root = root or Path.home() / ".cache" / "evoray"
    candidates = (
        "cifar-10-batches-py",
        "cifar10/cifar-10-batches-py",
        "labels.npz",
        "cifar10/labels.npz",
        "data_batch_1",
    )
    found = data_folder(root, os.environ.get("EVORAY_DATA", ""), candidates, "cifar10", _EXPECTED)
    folder = found.parent if found.name in ("labels.npz", "data_batch_1") else found
    return Cifar10(folder=folder, image_size=image_size or 32, limit=limit)
