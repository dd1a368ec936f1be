"""Fonts for generated text: the faces of matplotlib's wheel, those of font packages that are
installed, or of any folder.

A font package (font-lato and its like) names itself as an entry point of the group "fonts_ttf".
"""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from evoray.data.parts.text.words import CHARACTERS

_log = logging.getLogger(__name__)
# Text faces of matplotlib's wheel; what else stands there are symbols, which some of these files
# map to letters.
_FACES = (
    "DejaVuSans.ttf DejaVuSans-*.ttf DejaVuSansMono*.ttf DejaVuSerif.ttf DejaVuSerif-*.ttf "
    "STIXGeneral*.ttf cmb10.ttf cmr10.ttf cmss10.ttf cmti10.ttf cmtt10.ttf"
)
_SUFFIXES = (".ttf", ".otf", ".ttc")
_MEASURED = 64  # pixels of the size at which texts are measured
_FEWEST = len(CHARACTERS) // 2  # distinct pictures; small capitals draw some letters twice
_ABSENT = "\U0010fffe"  # no font has this one, so that it shows the picture of what is missing


@dataclass(frozen=True)
class Fonts:
    """Font files, by number.

    Attributes:
        files: Each draws every character of the texts.
    """

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def aspect(self, font: int, text: str) -> float:
        """Width of a text's ink by its height."""
        width, height = _measured(self.files[font], text)
        return width / height

    def drawn(self, font: int, text: str, height: float) -> NDArray[np.uint8]:
        """(h, w) ink of a text, 0 to 255, cropped to it; about `height` pixels high."""
        size = max(6, round(_MEASURED * height / _measured(self.files[font], text)[1]))
        face = _face(self.files[font], size)
        left, top, right, bottom = face.getbbox(text)
        canvas = Image.new("L", (max(1, int(right - left)), max(1, int(bottom - top))))
        ImageDraw.Draw(canvas).text((-left, -top), text, fill=255, font=face)
        return np.asarray(canvas.crop(canvas.getbbox()))  # FreeType's box has the bearings too


def installed() -> Fonts:
    """The text faces of matplotlib and of the font packages that are installed."""
    folder = _package("matplotlib") / "mpl-data" / "fonts" / "ttf"
    files = {file for pattern in _FACES.split() for file in folder.glob(pattern)}
    for point in sorted(entry_points(group="fonts_ttf"), key=lambda p: p.name):
        files |= set(_package(point.module).rglob("*.ttf"))
    return Fonts(_usable(tuple(sorted(files, key=lambda file: file.name))))


def of_folder(folder: Path) -> Fonts:
    """The fonts below a folder.

    Raises:
        ValueError: It holds none, or none that has all letters.
    """
    files = sorted(
        file
        for file in folder.rglob("*")
        if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")
    )
    if not files:
        raise ValueError(f"{folder} holds no font: expected {', '.join(_SUFFIXES)} files there")
    usable = _usable(tuple(files))
    left_out = [file.name for file in files if file not in usable]
    if not usable:
        raise ValueError(
            f"none of the fonts in {folder} can draw the letters {CHARACTERS}: "
            f"{', '.join(left_out[:5])}; put a font for Latin text there"
        )
    if left_out:
        _warn(f"fonts without all letters are left out of {folder}: {', '.join(left_out[:5])}")
    return Fonts(usable)


@cache
def _usable(files: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(file for file in files if has_letters(file))


@cache
def _warn(text: str) -> None:
    _log.warning("%s", text)


def has_letters(file: Path) -> bool:
    """Tells whether a font draws every character of the texts, and not all of them as one box."""
    try:
        face = ImageFont.truetype(str(file), 24, layout_engine=ImageFont.Layout.BASIC)
        absent = _picture(face, _ABSENT)
        pictures = {character: _picture(face, character) for character in CHARACTERS}
    except (OSError, ValueError):  # FreeType's words for files that are no fonts
        return False
    drawn = set(pictures.values())
    return absent not in drawn and len(drawn) >= _FEWEST


def _picture(face: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = face.getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=4096)  # a few kilobytes each; sizes times faces
def _face(file: Path, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(file), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=256)  # drawn soon after it was measured
def _measured(file: Path, text: str) -> tuple[float, float]:
    left, top, right, bottom = _face(file, _MEASURED).getbbox(text)
    return right - left, max(1.0, bottom - top)


def _package(name: str) -> Path:
    """The folder of a package, which is not imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"package {name!r} is not installed: install evoray's dependencies")
    return Path(next(iter(spec.submodule_search_locations)))
