"""Anyone's own pictures: DIR/train/CLASS/* with val/ and test/ beside it, or just DIR/CLASS/*
(docs/data.md says what may be there).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoray.data.parts import class_folders
from evoray.data.parts.class_folders import Listing
from evoray.data.parts.contents import Contents, of_files
from evoray.data.parts.images import SPLITS, Arrays, MemorySplit, opened
from evoray.data.parts.pictures import Scale, UnreadablePictureError, decode, is_deep, scale_of
from evoray.data.parts.splitting import limited, stratified, train_or_val

_log = logging.getLogger(__name__)
_SHARE = 0.15  # of the training images that become val, and test, where the folder has none
_MEMORY_BYTES = 8 * 1024**3
_NAMED = 5  # files that a message names


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """Pictures in folders named after their classes; grey ones become RGB, damaged ones are named
    and left out.

    Without a folder val/ or test/ a fixed share of the training pictures takes its place; with val/
    and no test/, val/ is both.

    Attributes:
        folder: Holds the splits, or the class folders themselves.
        classes: Folder names, sorted; a class's index is its place here.
        splits: (split, folder name) of each of train, val and test that has a folder.
        image_size: Pictures are scaled so that the shorter side has so many pixels, then the centre
            is cut out.
        limit: At most so many training images.
    """

    folder: Path
    classes: tuple[str, ...]
    splits: tuple[tuple[str, str], ...] = ()
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

    def contents(self) -> Contents:
        read = {file for split in SPLITS for file in _files(self, split)[0]}
        folders = dict(self.splits).values() or ("",)
        listed = [class_folders.listed(self.folder / place).pictures.values() for place in folders]
        every = [
            file for classes in listed for files in classes for file in files if file.is_file()
        ]
        named = [(file.relative_to(self.folder).as_posix(), file) for file in every]
        return of_files(
            [pair for pair in named if pair[1] in read],
            [pair for pair in named if pair[1] not in read],
        )


def _read(source: ImageFolder, split: str) -> Arrays:
    files, labels = _files(source, split)
    needed = len(files) * 3 * source.image_size**2
    if needed > _MEMORY_BYTES:
        raise ValueError(
            f"the {split} pictures in {source.folder} take {needed / 1024**3:.1f} GiB at "
            f"{source.image_size} px, more than "
            f"{_MEMORY_BYTES // 1024**3}: choose a smaller --data.image-size or a --data.limit"
        )
    scale = _scale(source) if any(map(is_deep, files)) else Scale()
    pixels = np.empty((len(files), 3, source.image_size, source.image_size), dtype=np.uint8)
    kept = np.ones(len(files), dtype=bool)
    for index, file in enumerate(files):
        try:
            pixels[index] = decode(file, source.image_size, scale)
        except UnreadablePictureError:
            kept[index] = False
    damaged = [file for file, good in zip(files, kept, strict=True) if not good]
    if damaged:
        _warn(f"{len(damaged)} damaged pictures are left out: {_some(damaged)}")
    empty = [
        name
        for index, name in enumerate(source.classes)
        if index in labels and index not in labels[kept]
    ]
    if empty:
        raise ValueError(
            f"class {', '.join(empty)} has no readable picture in the {split} part of "
            f"{source.folder}: mend or remove it"
        )
    return pixels[kept], labels[kept]


@cache
def _scale(source: ImageFolder) -> Scale:
    return scale_of(_files(source, "train")[0])


def _files(source: ImageFolder, split: str) -> tuple[list[Path], NDArray[np.int64]]:
    """The split's files and labels; what has no folder of its own is split off the training
    pictures.
    """
    folders = {name: source.folder / place for name, place in source.splits}
    place = folders.get(split) or (folders.get("val") if split == "test" else None)
    if place and split != "train":
        return _labelled(class_folders.listed(place).pictures, source.classes)
    files, labels = _labelled(
        class_folders.listed(folders.get("train", source.folder)).pictures, source.classes
    )
    chosen = _chosen(labels, split, source.limit, "val" in folders, "test" in folders)
    return [files[i] for i in chosen], labels[chosen]


def _chosen(
    labels: NDArray[np.int64], split: str, limit: int | None, has_val: bool, has_test: bool
) -> NDArray[np.int64]:
    """Indices of a split of the training pictures; a class of one or two keeps one for training."""
    rest, test = stratified(labels, _SHARE, "test", keep=2)
    if split == "test":
        return test
    if has_val:
        return limited(labels, limit)
    return rest[train_or_val(labels[rest], split, _SHARE, limit)]


def _labelled(
    pictures: Mapping[str, Sequence[Path]], classes: Sequence[str]
) -> tuple[list[Path], NDArray[np.int64]]:
    index = {
        name: classes.index(own)
        for name, own in (class_folders.same_classes(classes, list(pictures)) or {}).items()
    }
    if not index:
        raise ValueError(
            f"the classes {_words(pictures)} are no longer those that the data had: "
            f"{_words(classes)}; restore them"
        )
    found = sorted(((index[name], file) for name, files in pictures.items() for file in files))
    return [file for _, file in found], np.array([label for label, _ in found], dtype=np.int64)


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> ImageFolder:
    """The pictures below `root`; what is left out of them is counted and named in one warning.

    Raises:
        FileNotFoundError: The folder is not there or holds no class folders.
        ValueError: The folder can be read in more than one way, or its splits have different
            classes.
    """
    if root is None:
        raise FileNotFoundError(
            "data source 'image_folder' needs a folder: give --data.root DIR with "
            "DIR/train/CLASS/*.jpg or DIR/CLASS/*.jpg"
        )
    root = root.absolute()
    if not root.is_dir():
        raise FileNotFoundError(
            f"data folder {root} does not exist: give --data.root an existing folder with "
            "train/CLASS/*.jpg or CLASS/*.jpg"
        )
    places = class_folders.splits_of(root)
    listings = {
        split: class_folders.listed(place) for split, place in (places or {"train": root}).items()
    }
    classes = _classes(places.get("train", root), listings["train"], flat=not places)
    _check_same_classes(classes, places, listings)
    source = ImageFolder(
        folder=root,
        classes=classes,
        splits=tuple((split, place.name) for split, place in places.items()),
        image_size=image_size or 224,
        limit=limit,
    )
    _tell(root, listings)
    _check_rare(source, listings["train"])
    return source


def _classes(place: Path, listing: Listing, flat: bool) -> tuple[str, ...]:
    if flat:
        class_folders.check_no_unknown_splits(place, listing.pictures)
    if len(listing.pictures) < 2:
        loose = f", {len(listing.left_out)} files in no class folder" if listing.left_out else ""
        only = (
            f" ({next(iter(listing.pictures))}: if the classes are inside it, give that folder)"
            if listing.pictures
            else ""
        )
        raise FileNotFoundError(
            f"{place} holds pictures of {len(listing.pictures)} classes{only}{loose}; expected at "
            "least two folders named after classes, "
            "with pictures in them"
        )
    return tuple(sorted(listing.pictures))


def _check_same_classes(
    classes: Sequence[str], places: Mapping[str, Path], listings: Mapping[str, Listing]
) -> None:
    for split in [split for split in places if split != "train"]:
        names = sorted(listings[split].pictures)
        if class_folders.same_classes(classes, names) is None:
            raise ValueError(
                f"{places[split]} has other classes than {places['train']}: "
                f"{_words(names) or 'none with pictures'}, "
                f"expected {_words(classes)}: make the class folders the same, or move "
                f"{places[split].name}/ away"
            )


def _tell(root: Path, listings: Mapping[str, Listing]) -> None:
    left = [file for listing in listings.values() for file in listing.left_out]
    empty = [folder for listing in listings.values() for folder in listing.empty]
    parts = (
        [
            f"{len(left)} files are left out, which are no pictures or in no class folder: "
            f"{_some(left)}"
        ]
        if left
        else []
    )
    parts += (
        [f"{len(empty)} folders without pictures are no classes: {_some(empty)}"] if empty else []
    )
    if parts:
        _warn(f"of {root} {'; '.join(parts)}")


def _check_rare(source: ImageFolder, training: Listing) -> None:
    """Names the classes of which a split taken from the training pictures gets none.

    Raises:
        ValueError: It gets none at all.
    """
    labels = _labelled(training.pictures, source.classes)[1]
    has_val, has_test = (split in dict(source.splits) for split in ("val", "test"))
    for split in [
        split for split, there in (("val", has_val), ("test", has_test or has_val)) if not there
    ]:
        chosen = labels[_chosen(labels, split, source.limit, has_val, has_test)]
        missing = [name for label, name in enumerate(source.classes) if label not in chosen]
        if len(missing) == len(source.classes):
            raise ValueError(
                f"the classes of {source.folder} have too few pictures for a {split} part: add "
                f"some, or a folder {split}/"
            )
        if missing:
            _warn(
                f"{_some(missing)}: too few pictures for the {split} part of {source.folder}, all "
                "of them are kept for the other parts"
            )


@cache  # a source is built more than once in a run
def _warn(text: str) -> None:
    _log.warning("%s", text)


def _words(names: Sequence[str] | Mapping[str, object]) -> str:
    shown = list(names)
    return ", ".join(shown[:20]) + (f" and {len(shown) - 20} more" if len(shown) > 20 else "")


def _some(found: Sequence[object]) -> str:
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return f"{', '.join(map(str, found[:_NAMED]))}{more}"
