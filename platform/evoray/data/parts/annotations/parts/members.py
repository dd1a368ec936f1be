"""Files of annotations or detections: those of a folder or a zip archive, or one alone."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_SUFFIXES = (".txt", ".json", ".mat", ".xml")
_PREFIX = re.compile(r"^(poly_)?(gt_|res_)")
_SUFFIX = re.compile(r"\.(txt|json|mat|xml|jpe?g|png|bmp|tiff?|gif|webp)$", re.IGNORECASE)


@dataclass(frozen=True)
class Member:
    """One file's content.

    Attributes:
        where: Its path, behind that of its archive if it lies in one, for messages.
        name: Its path within the folder or archive.
        content: All of its bytes.
    """

    where: str
    name: str
    content: bytes

    @property
    def suffix(self) -> str:
        """The ending of the name, in small letters: ".txt"."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def image(self) -> str:
        """The image that the file is about, by its name."""
        return key(self.name)

    def text(self) -> str:
        """The content as text, with or without BOM, lines ended by a line feed alone.

        Raises:
            ValueError: It is not UTF-8.
        """
        try:
            text = self.content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = self.content[: error.start].count(b"\n") + 1
            raise ValueError(
                f"{self.where}, line {line}: it needs to be UTF-8, got the byte "
                f"{self.content[error.start]:#04x}; store it in that encoding"
            ) from None
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def lines(self) -> Iterable[tuple[int, str]]:
        """Numbers from 1 and texts of the lines that are not blank."""
        for number, line in enumerate(self.text().split("\n"), start=1):
            if line.strip():
                yield number, line.strip()


def key(name: str) -> str:
    """The name by which annotations, detections and images meet: without folders and suffix,
    without the prefixes of the data sets: "poly_gt_img1.mat" and "img1.jpg" are both "img1".
    """
    return _PREFIX.sub("", _SUFFIX.sub("", PurePosixPath(name.replace("\\", "/")).name))


def members(path: Path) -> list[Member]:
    """The files of a folder (with its sub-folders) or of a zip archive, sorted by name, or the one
    file that `path` is.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: It holds no file of a known suffix, is a damaged archive, or files of several
            suffixes.
    """
    if path.is_dir():
        found = [
            Member(str(file), file.relative_to(path).as_posix(), file.read_bytes())
            for file in sorted(path.rglob("*"))
            if file.is_file() and _wanted(file.relative_to(path).as_posix())
        ]
    elif not path.exists():
        raise FileNotFoundError(f"{path} does not exist: name a folder, a zip archive or a file")
    elif zipfile.is_zipfile(path):
        found = _archived(path)
    elif path.suffix.lower() == ".zip":
        raise ValueError(f"{path} is no zip archive, or a damaged one")
    elif path.suffix.lower() in _SUFFIXES:
        return [Member(str(path), path.name, path.read_bytes())]
    else:
        raise ValueError(
            f"{path} needs to be a folder, a zip archive, or a file that ends in "
            f"{', '.join(_SUFFIXES)}"
        )
    return _of_one_suffix(path, found)


def _archived(path: Path) -> list[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            return [
                Member(f"{path}/{info.filename}", info.filename, archive.read(info))
                for info in sorted(archive.infolist(), key=lambda info: info.filename)
                if not info.is_dir() and _wanted(info.filename)
            ]
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        # RuntimeError: it wants a password; NotImplementedError: packed in a way we cannot unpack.
        raise ValueError(f"{path} is no archive that can be read: {error}") from None


def _wanted(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return not hidden and PurePosixPath(name).suffix.lower() in _SUFFIXES


def _of_one_suffix(path: Path, found: Sequence[Member]) -> list[Member]:
    suffixes = sorted({member.suffix for member in found})
    if not suffixes:
        raise ValueError(
            f"{path} holds no file that ends in {', '.join(_SUFFIXES)}: name the folder or archive "
            "of the annotations or detections"
        )
    if len(suffixes) > 1:
        raise ValueError(
            f"{path} holds files of several kinds, {' and '.join(suffixes)}: name a folder with "
            "those of one kind"
        )
    return list(found)
