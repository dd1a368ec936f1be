"""One picture as a person sees it: upright, on white where it is transparent, its values on the
scale that they are meant on.

Grey values deeper than eight bits have no scale of their own, so the training pictures of the data
set give it, all of one kind together (`Scale`): a dark picture stays darker than a bright one, and
12 bits stored in 16 do not become black.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

Image.init()
_WANTED = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000", "AVIF", "ICO")
_FORMATS = tuple(name for name in _WANTED if name in Image.OPEN)  # as this Pillow was built
_BACKGROUND = (255, 255, 255)  # what shows through transparent pixels
_DEEP = ("I", "F")  # Pillow's modes of more than eight bits, beside those that begin with "I;16"
_BITS = (8, 10, 12, 14, 16)
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What Pillow raises for files that are damaged or no pictures.
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    LookupError,
    TypeError,
    ArithmeticError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class Scale:
    """The values of deep pictures that are black and white.

    Attributes:
        integers: Values of whole-number pictures.
        floats: Values of floating-point pictures.
    """

    integers: tuple[float, float] = (0.0, 65535.0)
    floats: tuple[float, float] = (0.0, 1.0)


class UnreadablePictureError(ValueError):
    """A file is damaged, or no picture."""


@contextmanager
def _opened(file: Path, *, load: bool = True, size: int = 0) -> Iterator[Image.Image]:
    """The picture, its pixels read, a JPEG's at not less than `size` pixels a side."""
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            raise UnreadablePictureError(f"{file} is no picture that can be read: it is no file")
        picture = Image.open(file, formats=_FORMATS)
        if size:
            picture.draft("RGB", (size, size))
        if load:
            picture.load()
    except _DAMAGE as error:
        raise UnreadablePictureError(f"{file} is no picture that can be read: {error}") from None
    with picture:
        yield picture


def is_picture(file: Path) -> bool:
    """Tells whether the file's content, not its name, is a picture's."""
    try:
        with _opened(file, load=False):
            return True
    except UnreadablePictureError:
        return False


def is_deep(file: Path) -> bool:
    """Tells whether the picture has one channel of more than eight bits; a file that is no picture
    has not.
    """
    try:
        with _opened(file, load=False) as picture:
            return _has_depth(picture.mode)
    except UnreadablePictureError:
        return False


def scale_of(files: Iterable[Path]) -> Scale:
    """The scale of a data set whose training pictures these are; what cannot be read has no say."""
    limits: dict[str, tuple[float, float]] = {}
    for file in filter(is_deep, files):
        try:
            with _opened(file) as picture:
                values = _values(picture)
        except UnreadablePictureError:
            continue
        kind = "floats" if picture.mode == "F" else "integers"
        low, high = limits.get(kind, (np.inf, -np.inf))
        limits[kind] = min(low, float(values.min())), max(high, float(values.max()))
    named = {"integers": _integer_limits, "floats": _float_limits}
    return Scale(**{kind: named[kind](*found) for kind, found in limits.items()})


def decode(file: Path, size: int, scale: Scale) -> NDArray[np.uint8]:
    """(3, size, size): the middle square of the picture.

    Raises:
        UnreadablePictureError: The file is damaged or no picture.
    """
    with _opened(file, size=size) as picture:
        shown = _eight_bits(picture, scale) if _has_depth(picture.mode) else _on_background(picture)
        turn = _TURNS.get(_orientation(picture))
    side = min(shown.size)
    left, top = (shown.width - side) / 2, (shown.height - side) / 2
    square = shown.resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + side, top + side)
    )
    return np.asarray(square if turn is None else square.transpose(turn)).transpose(2, 0, 1)


def whole(file: Path, scale: Scale) -> NDArray[np.uint8]:
    """(h, w, 3): the picture as it is stored, whatever EXIF says of its orientation.

    Raises:
        UnreadablePictureError: The file is damaged or no picture.
    """
    with _opened(file) as picture:
        return np.asarray(
            _eight_bits(picture, scale) if _has_depth(picture.mode) else _on_background(picture)
        )


def _has_depth(mode: str) -> bool:
    return mode in _DEEP or mode.startswith("I;16")


def _on_background(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (*_BACKGROUND, 255)), layer).convert(
        "RGB"
    )


def _eight_bits(picture: Image.Image, scale: Scale) -> Image.Image:
    low, high = scale.floats if picture.mode == "F" else scale.integers
    grey = ((_values(picture) - low) * (255.0 / (high - low))).clip(0, 255)
    return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")


def _values(picture: Image.Image) -> NDArray[np.float64]:
    values = np.asarray(picture).astype(np.float64)
    if not np.isfinite(values).all():
        raise UnreadablePictureError("the picture has values that are not finite")
    return values


def _integer_limits(low: float, high: float) -> tuple[float, float]:
    """0 and the largest number of the fewest usual bits; signed or larger numbers have the limits
    that occur.
    """
    fitting = [2.0**bits - 1 for bits in _BITS if low >= 0 and high < 2**bits]
    return (0.0, fitting[0]) if fitting else _apart(low, high)


def _float_limits(low: float, high: float) -> tuple[float, float]:
    """0 to 1, -1 to 1 or 0 to 255 where all values are in there; else the limits that occur."""
    usual = [
        pair
        for pair in ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
        if pair[0] <= low and high <= pair[1]
    ]
    return usual[0] if usual else _apart(low, high)


def _apart(low: float, high: float) -> tuple[float, float]:
    return (low, high) if high > low else (low, low + 1.0)


def _orientation(picture: Image.Image) -> int:
    """Reads the orientation of EXIF; 1 where that is missing or damaged, and for TIFF, which Pillow
    turns itself.
    """
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # a damaged annotation may raise anything, and the picture is whole
        return 1
