"""Finds the splits and classes among the folders below a root, and their pictures (docs/data.md has
the table).
"""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evoray.data.parts.pictures import is_picture

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
_SPLIT_OF = {name: split for split, names in NAMES.items() for name in names}
_WRAPPING = r"(?:data|images?|imgs?|set|split|pictures?|photos?)?"
_LIKE_A_SPLIT = re.compile(
    rf"{_WRAPPING}(?:{'|'.join(_SPLIT_OF)}|eval|evaluation|holdout){_WRAPPING}"
)
_SYSTEM = frozenset({"__macosx", "@eadir", "lost+found", "thumbs.db", "desktop.ini", ".ds_store"})


@dataclass
class Listing:
    """The pictures of one folder of classes.

    Attributes:
        pictures: Files of each class that has any, sorted.
        left_out: Files that are no pictures, or that no class folder holds.
        empty: Folders without pictures.
    """

    pictures: dict[str, list[Path]] = field(default_factory=dict)
    left_out: list[Path] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)


def splits_of(root: Path) -> dict[str, Path]:
    """The folders of train, val and test that stand in `root`; none where the classes themselves
    do.

    Raises:
        ValueError: A name may be meant as a split and is none, two folders are one split, or there
            is no train.
    """
    folders = [path for path in _visible(root) if path.is_dir()]
    named: dict[str, list[Path]] = {}
    for path in folders:
        if path.name.casefold() in _SPLIT_OF:
            named.setdefault(_SPLIT_OF[path.name.casefold()], []).append(path)
    for split, places in named.items():
        if len(places) > 1:
            shown = " and ".join(f"{path.name}/" for path in places)
            raise ValueError(f"{root} holds {shown}, which all mean {split}: keep one of them")
    for path in folders:
        if (
            path.name.casefold() not in _SPLIT_OF
            and _looks_like_a_split(path.name, bool(named))
            and _has_files(path)
        ):
            raise ValueError(
                f"folder {path} may be meant as a split or as a class: name it train, val or test, "
                f"or move all class folders into {root}/train"
            )
    if named and "train" not in named:
        shown = ", ".join(f"{places[0].name}/" for places in named.values())
        raise ValueError(
            f"{root} holds {shown} and no folder of training pictures: name that train, or move "
            f"all class folders into {root}/train"
        )
    return {split: places[0] for split, places in named.items()}


def listed(folder: Path) -> Listing:
    """The classes in `folder` and their pictures, in folders below them too."""
    found = Listing()
    places: dict[Path, str] = {}
    for path in _visible(folder):
        if not path.is_dir():
            found.left_out.append(path)
            continue
        other = places.setdefault(path.resolve(), path.name)
        if other != path.name:
            raise ValueError(
                f"{folder} holds classes {other} and {path.name}, which are links to one folder: "
                "remove one of them"
            )
        files = sorted(_files_below(path))
        pictures = [
            file
            for file in files
            if not file.name.startswith(".") and (_has_suffix(file) or is_picture(file))
        ]
        kept = set(pictures)
        found.left_out += [file for file in files if file not in kept]
        if pictures:
            found.pictures[path.name] = pictures
        else:
            found.empty.append(path)
    return found


def same_classes(classes: Sequence[str], names: Sequence[str]) -> Mapping[str, str] | None:
    """Maps a split's folder `names` to `classes`, whatever their capitals, hyphens and spaces; None
    where they differ.
    """
    matched = {name: name for name in names if name in classes}
    free = [name for name in classes if name not in matched]
    for name in names:
        if name not in matched:
            alike = [other for other in free if _normalised(other) == _normalised(name)]
            if len(alike) != 1:
                return None
            matched[name] = alike[0]
            free.remove(alike[0])
    return None if free else matched


def check_no_unknown_splits(folder: Path, classes: Mapping[str, Sequence[Path]]) -> None:
    """
    Raises:
        ValueError: Every folder holds the same folders and no picture of its own, so that they are
            splits under other names.
    """
    inner = [
        {file.relative_to(folder / name).parts[0] for file in files}
        for name, files in classes.items()
    ]
    direct = any(
        (folder / name / part).is_file()
        for name, parts in zip(classes, inner, strict=True)
        for part in parts
    )
    if (
        len(inner) > 1
        and len(inner[0]) > 1
        and not direct
        and all(parts == inner[0] for parts in inner)
    ):
        raise ValueError(
            f"folders {', '.join(classes)} of {folder} hold the same folders "
            f"{', '.join(sorted(inner[0]))} and no pictures of their own: "
            "if they are splits, name them train, val and test"
        )


def _visible(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.name.casefold() not in _SYSTEM
    )


def _looks_like_a_split(name: str, beside_splits: bool) -> bool:
    """Judges a folder's name; beside folders that are splits, a slip of the pen counts too."""
    plain = re.sub(r"[\W\d_]+", "", name.casefold())
    return bool(_LIKE_A_SPLIT.fullmatch(plain)) or (
        beside_splits and bool(difflib.get_close_matches(plain, _SPLIT_OF, cutoff=0.75))
    )


def _has_files(folder: Path) -> bool:
    return next(_files_below(folder), None) is not None


def _files_below(folder: Path) -> Iterator[Path]:
    """Through links too, each folder once, so that a circle of links ends."""
    seen: set[str] = set()
    for place, inner, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        inner[:] = sorted(
            name for name in inner if not name.startswith(".") and name.casefold() not in _SYSTEM
        )
        yield from (
            Path(place, name)
            for name in names
            if name.casefold() not in _SYSTEM and not name.startswith("._")
        )


def _has_suffix(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES


def _normalised(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()
