"""Anyone's own pictures: DIR/train/CLASS/*.jpg with val/ and test/ beside it, or just DIR/CLASS/*.jpg."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evoray.data.images import Arrays, MemorySplit, opened
from evoray.data.splitting import limited, stratified, train_or_val

_log = logging.getLogger(__name__)
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
_SHARE = 0.15  # of the training images that become val, and test, where the folder has none
_MEMORY_BYTES = 8 * 1024**3


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Pictures in folders named after their classes; grey ones become RGB, damaged ones are named and left out.

    Without a folder val/ or test/ a fixed share of the training pictures takes its place; with val/ and no test/, val/ is both.

    Attributes:
        root: Holds train/, val/, test/, or the class folders themselves.
        classes: Folder names, sorted; a class's index is its place here.
        image_size: Pictures are scaled so that the shorter side has so many pixels, then the centre is cut out.
        limit: At most so many training images.
    """

    root: Path
    classes: tuple[str, ...]
    image_size: int = 224
    limit: int | None = None
    name: str = "image_folder"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    mirror: bool = True

    @property
    def num_classes(self) -> int:
        return len(self.classes)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        """Reads the split into memory, at most 8 GiB.

        Raises:
            ValueError: It is larger, or a class has no readable picture in it.
        """
        return opened(self, split, _read)


def _read(source: ImageFolder, split: str) -> Arrays:
    files, labels = _files(source, split)
    needed = len(files) * 3 * source.image_size**2
    if needed > _MEMORY_BYTES:
        raise ValueError(
            f"the {split} pictures in {source.root} take {needed / 1024**3:.1f} GiB at {source.image_size} px, more than "
            f"{_MEMORY_BYTES // 1024**3}: choose a smaller --data.image-size or a --data.limit"
        )
    pixels = np.empty((len(files), 3, source.image_size, source.image_size), dtype=np.uint8)
    kept = np.array([_decode(file, source.image_size, pixels[i]) for i, file in enumerate(files)], dtype=bool)
    damaged = [str(file) for file, good in zip(files, kept, strict=True) if not good]
    if damaged:
        more = f" and {len(damaged) - 5} more" if len(damaged) > 5 else ""
        _log.warning("%d damaged pictures are left out: %s%s", len(damaged), ", ".join(damaged[:5]), more)
    empty = [name for index, name in enumerate(source.classes) if index in labels and index not in labels[kept]]
    if empty:
        raise ValueError(f"class {', '.join(empty)} has no readable picture in the {split} part of {source.root}: mend or remove it")
    return pixels[kept], labels[kept]


def _decode(file: Path, size: int, out: NDArray[np.uint8]) -> bool:
    try:
        with Image.open(file) as picture:
            picture.draft("RGB", (size, size))
            rgb = picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for damaged files
        return False
    scale = size / min(rgb.size)
    rgb = rgb.resize((max(size, round(rgb.width * scale)), max(size, round(rgb.height * scale))), Image.Resampling.BICUBIC)
    left, top = (rgb.width - size) // 2, (rgb.height - size) // 2
    out[:] = np.asarray(rgb.crop((left, top, left + size, top + size))).transpose(2, 0, 1)
    return True


def _files(source: ImageFolder, split: str) -> tuple[list[Path], NDArray[np.int64]]:
    """The split's files and labels; what has no folder of its own is split off the training pictures."""
    divided = (source.root / "train").is_dir()
    if divided and split != "train" and (source.root / split).is_dir():
        return _listed(source.root / split, source.classes)
    if divided and split == "test" and (source.root / "val").is_dir():
        return _listed(source.root / "val", source.classes)
    files, labels = _listed(source.root / "train" if divided else source.root, source.classes)
    rest, test = stratified(labels, _SHARE, "test")
    if split == "test":
        chosen = test
    elif divided and (source.root / "val").is_dir():
        chosen = limited(labels, source.limit)
    else:
        chosen = rest[train_or_val(labels[rest], split, _SHARE, source.limit)]
    return [files[i] for i in chosen], labels[chosen]


def _listed(folder: Path, classes: Sequence[str]) -> tuple[list[Path], NDArray[np.int64]]:
    found = [
        (file, index)
        for index, name in enumerate(classes)
        for file in sorted((folder / name).rglob("*"))
        if file.suffix.lower() in _SUFFIXES
    ]
    return [file for file, _ in found], np.array([index for _, index in found], dtype=np.int64)


def build(*, root: Path | None = None, image_size: int | None = None, limit: int | None = None, download: bool = False) -> ImageFolder:
    """The pictures below `root`.

    Raises:
        FileNotFoundError: The folder is not there or holds no class folders.
    """
    if root is None:
        raise FileNotFoundError(
            "data source 'image_folder' needs a folder: give --data.root DIR with DIR/train/CLASS/*.jpg or DIR/CLASS/*.jpg"
        )
    if not root.is_dir():
        raise FileNotFoundError(
            f"data folder {root} does not exist: give --data.root an existing folder with train/CLASS/*.jpg or CLASS/*.jpg"
        )
    parent = root / "train" if (root / "train").is_dir() else root
    classes = tuple(sorted(d.name for d in parent.iterdir() if d.is_dir() and any(f.suffix.lower() in _SUFFIXES for f in d.rglob("*"))))
    if len(classes) < 2:
        raise FileNotFoundError(f"{parent} holds pictures of {len(classes)} classes; expected at least two folders named after classes")
    return ImageFolder(root=root, classes=classes, image_size=image_size or 224, limit=limit)
