"""Text data sets on disk: a folder of images and the annotations beside it, for each part."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from evoray.data.parts.annotations import read_annotations
from evoray.data.parts.annotations.parts.members import key
from evoray.data.parts.class_folders import SUFFIXES
from evoray.data.parts.contents import Contents, of_files
from evoray.data.parts.images import Normalisation, check_split
from evoray.data.parts.pictures import Scale, is_deep, scale_of, whole
from evoray.data.parts.splitting import limited, stratified, train_or_val
from evoray.data.parts.text import letterbox
from evoray.data.parts.text.facts import facts_of
from objectives.parts.text.regions import TextRegion

_log = logging.getLogger(__name__)
_MEMORY_BYTES = 8 * 1024**3
_NAMED = 5  # files that a message names
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """Places of one part of a data set, below its folder.

    Attributes:
        images: A folder.
        annotations: A folder, an archive or a file.
    """

    images: str
    annotations: str


@dataclass(frozen=True)
class AnnotatedImage:
    """One image of a data set.

    Attributes:
        name: By which annotations and detections meet.
        file: The picture.
        regions: Its texts.
    """

    name: str
    file: Path
    regions: tuple[TextRegion, ...]


@dataclass(frozen=True, kw_only=True)
class TextFolders:
    """A text data set on disk, a `TextSource`.

    Where it has no "val", or no "test", a fixed share of its training images is held out for it.
    Pictures are decoded as they are stored: annotations are of those pixels, whatever EXIF says.

    Attributes:
        name: Name of the data set.
        folder: Holds the parts.
        parts: The parts that are there, of train, val and test.
        held_out: Share of the training images that is held out for a split without a part.
        image_size: Pictures are scaled to this long side and stand at the top left of a square.
        limit: At most so many training images.
    """

    name: str
    folder: Path
    parts: tuple[tuple[str, Part], ...]
    held_out: float = 0.1
    image_size: int = 640
    limit: int | None = None
    task: str = "text_detection"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    mirror: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.images_of("train"))

    def open(self, split: str) -> FolderSplit:
        """Reads the split into memory, at most 8 GiB.

        Raises:
            ValueError: It is larger, or has a picture that cannot be read; names it.
        """
        return _opened(self, split)

    def images_of(self, split: str) -> tuple[AnnotatedImage, ...]:
        """The images of a split with their regions, sorted by name.

        Raises:
            ValueError: Annotations cannot be read, or an image or its annotations are missing.
        """
        check_split(split)
        parts = dict(self.parts)
        if split != "train" and split in parts:
            return _listed(self.folder, parts[split])
        found = _listed(self.folder, parts["train"])
        same = np.zeros(len(found), dtype=np.int64)
        if "test" not in parts:
            rest, test = stratified(same, self.held_out, "test", keep=2)
            if split == "test":
                return tuple(found[i] for i in test)
            found, same = tuple(found[i] for i in rest), same[rest]
        if "val" in parts:
            return tuple(found[i] for i in limited(same, self.limit))
        return tuple(found[i] for i in train_or_val(same, split, self.held_out, self.limit))

    def facts(self) -> dict[str, str]:
        """Difficulty of the texts of all training images, "don't care" ones left out."""
        images, sides = self.images_of("train"), []
        for image in images:
            with Image.open(image.file) as picture:
                sides.append(float(max(picture.size)))
        polygons = [[r.polygon for r in image.regions if not r.ignored] for image in images]
        return {"texts": "annotated"} | facts_of(polygons, sides)

    def contents(self) -> Contents:
        named: dict[str, Path] = {}
        for _, part in self.parts:
            files = [image.file for image in _listed(self.folder, part)]
            place = self.folder / part.annotations
            files += [f for f in place.rglob("*") if f.is_file()] if place.is_dir() else [place]
            named |= {file.relative_to(self.folder).as_posix(): file for file in files}
        return of_files(named.items())


class FolderSplit:
    """Images of a folder, letterboxed in memory, a `TextSplit`."""

    def __init__(self, source: TextFolders, images: Sequence[AnnotatedImage], scale: Scale) -> None:
        size = source.image_size
        self._images, self._deep, self._normalise = (
            images,
            scale,
            Normalisation(source.mean, source.std),
        )
        self._squares = np.zeros((len(images), 3, size, size), dtype=np.uint8)
        self._scales = np.ones(len(images))
        self._regions: list[tuple[TextRegion, ...]] = []
        for index, image in enumerate(images):
            pixels = whole(image.file, scale)
            height, width, _ = pixels.shape
            self._squares[index] = letterbox.letterboxed(pixels, size)
            self._scales[index] = letterbox.scale_of(height, width, size)
            self._regions.append(_within(image, height, width))

    def __len__(self) -> int:
        return len(self._images)

    def name(self, index: int) -> str:
        return self._images[index].name

    def pixels(self, index: int) -> NDArray[np.uint8]:
        """(3, h, w), decoded anew each time."""
        return np.ascontiguousarray(whole(self._images[index].file, self._deep).transpose(2, 0, 1))

    def regions(self, index: int) -> tuple[TextRegion, ...]:
        return self._regions[index]

    def scale(self, index: int) -> float:
        return float(self._scales[index])

    def images(self, indices: Sequence[int] | torch.Tensor) -> torch.Tensor:
        return self._normalise(torch.from_numpy(self._squares)[torch.as_tensor(indices)])


Places = tuple[Sequence[str], Sequence[str]]  # of a part's images and of its annotations, any of


def published(
    name: str,
    root: Path | None,
    names: Sequence[str],
    places: Mapping[str, Places],
    *,
    image_size: int | None,
    limit: int | None,
    download: bool,
) -> TextFolders:
    """A published data set, from `root` or EVORAY_DATA, or a folder with one of its `names` there.

    Raises:
        FileNotFoundError: Its training images or their annotations are not there.
        ValueError: It should be downloaded.
    """
    if download:
        raise ValueError(
            f"data source {name!r} cannot be fetched: get it from its authors, and give "
            "--data.root DIR"
        )
    expected = "; ".join(
        f"for {split} {' or '.join(images)}, with {' or '.join(annotations)}"
        for split, (images, annotations) in places.items()
    )
    known = os.environ.get("EVORAY_DATA", "")
    base = root or (Path(known).absolute() if known else None)
    if base is None:
        raise FileNotFoundError(
            f"data source {name!r} needs a folder: give --data.root DIR or set EVORAY_DATA; "
            f"expected there: {expected}"
        )
    if not base.is_dir():
        raise FileNotFoundError(
            f"data folder {base} does not exist: give --data.root an existing folder; expected "
            f"there: {expected}"
        )
    for folder in (base, *(base / one for one in names)):
        parts = {split: part_of(folder, *wanted) for split, wanted in places.items()}
        found = tuple((split, part) for split, part in parts.items() if part)
        if parts["train"]:
            return TextFolders(
                name=name, folder=folder, parts=found, image_size=image_size or 640, limit=limit
            )
    raise FileNotFoundError(f"data folder {base} has no {name} data: expected {expected}")


def part_of(folder: Path, images: Sequence[str], annotations: Sequence[str]) -> Part | None:
    """The first of the places that exist; None where either has none."""
    shown = [place for place in images if (folder / place).is_dir()]
    described = [place for place in annotations if (folder / place).exists()]
    return Part(shown[0], described[0]) if shown and described else None


@lru_cache(maxsize=8)
def _listed(folder: Path, part: Part) -> tuple[AnnotatedImage, ...]:
    """The images of a part with their annotations, sorted by name; annotations are paired by name,
    without folders, suffixes, prefixes and leading zeros.
    """
    files = _unique(
        [
            (file.name, file)
            for file in sorted((folder / part.images).rglob("*"))
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        ],
        f"images in {folder / part.images}",
    )
    if not files:
        raise ValueError(
            f"{folder / part.images} holds no picture: expected {', '.join(sorted(SUFFIXES))} files"
        )
    place = folder / part.annotations
    annotated = _unique(
        [(image.image, image) for image in read_annotations(place)], f"annotations in {place}"
    )
    _refuse([files[name].name for name in files.keys() - annotated.keys()], "annotations", place)
    _refuse(
        [annotated[name].image for name in annotated.keys() - files.keys()],
        "image",
        folder / part.images,
    )
    found = [
        AnnotatedImage(key(file.name), file, annotated[name].regions)
        for name, file in files.items()
    ]
    return tuple(sorted(found, key=lambda image: image.name))


def _unique(named: Iterable[tuple[str, T]], what: str) -> dict[str, T]:
    found: dict[str, T] = {}
    for name, value in named:
        short = re.sub(r"^0+(?=[0-9])", "", key(name))
        if short in found:
            raise ValueError(f"{what}: two have the name {short!r}: give each its own")
        found[short] = value
    return found


def _refuse(lacking: list[str], what: str, place: Path) -> None:
    if lacking:
        some = ", ".join(sorted(lacking)[:_NAMED])
        more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        raise ValueError(f"{some}{more}: no {what} of that name in {place}; add or remove them")


def _within(image: AnnotatedImage, height: int, width: int) -> tuple[TextRegion, ...]:
    """Regions that touch the image; a warning counts those that do not."""
    kept = tuple(
        region
        for region in image.regions
        if (region.polygon.max(axis=0) > 0).all()
        and (region.polygon.min(axis=0) < (width, height)).all()
    )
    if len(kept) < len(image.regions):
        _warn(
            f"{image.file}: {len(image.regions) - len(kept)} polygons outside its {width} x "
            f"{height} pixels are left out"
        )
    return kept


@cache  # a split is opened more than once in a run
def _warn(text: str) -> None:
    _log.warning("%s", text)


@lru_cache(maxsize=4)
def _opened(source: TextFolders, split: str) -> FolderSplit:
    images = source.images_of(split)
    if not images:
        raise ValueError(
            f"the {split} part of data source {source.name!r} in {source.folder} holds no image: "
            "put some there"
        )
    needed = len(images) * 3 * source.image_size**2
    if needed > _MEMORY_BYTES:
        raise ValueError(
            f"the {split} images in {source.folder} take {needed / 1024**3:.1f} GiB at "
            f"{source.image_size} px, more than {_MEMORY_BYTES // 1024**3}: choose a smaller "
            "--data.image-size or a --data.limit"
        )
    return FolderSplit(source, images, _scale(source))


@cache
def _scale(source: TextFolders) -> Scale:
    deep = [image.file for image in source.images_of("train") if is_deep(image.file)]
    return scale_of(deep) if deep else Scale()
