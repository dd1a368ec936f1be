"""Backgrounds of generated text: photos where there are some, noise, gradients, and shapes that
are no letters.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from evoray.data.parts.class_folders import SUFFIXES
from evoray.data.parts.pictures import Scale, is_picture, whole

Colours = NDArray[np.float32]  # (h, w, 3), 0 to 255

_PHOTOS = 0.55  # share of the images, where there are photos
_NOISE = 0.55  # of the others
_OCTAVES, _CELLS = (3, 7, 17, 48), 64  # cells of the noise at each scale, and of their sum
_SHAPES = 0.4  # share of the images with shapes
_LONGEST = 1024  # pixels that are kept of a photo's shorter side
# Photos inside wheels. Of scikit-image's those without lettering.
_WHEELS = {
    "sklearn": ("datasets/images", "china.jpg flower.jpg"),
    "skimage": (
        "data",
        "brick.png camera.png chelsea.png coffee.png grass.png gravel.png ihc.png moon.png",
    ),
}


@dataclass(frozen=True)
class Backgrounds:
    """Photos to cut backgrounds from.

    Attributes:
        photos: Files; without any, all backgrounds are procedural.
    """

    photos: tuple[Path, ...] = ()

    def drawn(self, size: int, texture: float, rng: np.random.Generator) -> Colours:
        """(size, size, 3), its contrast multiplied by up to `texture`."""
        if self.photos and rng.random() < _PHOTOS:
            picture = _cut(_photo(self.photos[rng.integers(len(self.photos))]), size, rng)
        elif rng.random() < _NOISE:
            picture = _clouds(size, rng)
        else:
            picture = _gradient(size, rng)
        if rng.random() < _SHAPES:
            picture = _with_shapes(picture, size, rng)
        middle = np.full(size * size, 1 / size**2, dtype=np.float32) @ picture.reshape(-1, 3)
        share = np.float32(texture * rng.uniform(0.4, 1.0))
        tone = rng.normal(0, 12, size=3) + rng.uniform(-45, 45)
        base = np.clip(middle + tone, 25, 230).astype(np.float32)
        return np.clip(base + share * (picture - middle), 0, 255)


def installed() -> Backgrounds:
    """The photos inside scikit-learn's wheel, and scikit-image's where that is installed."""
    files = []
    for package, (folder, names) in _WHEELS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            place = Path(next(iter(spec.submodule_search_locations)), folder)
            files += [place / name for name in names.split() if (place / name).is_file()]
    return Backgrounds(tuple(files))


def of_folder(folder: Path) -> Backgrounds:
    """The pictures below a folder.

    Raises:
        ValueError: It holds none.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"{folder} holds no picture: expected {', '.join(sorted(SUFFIXES))} files")
    damaged = [file for file in files if not is_picture(file)]
    if damaged:
        raise ValueError(f"{damaged[0]} is no picture that can be read: mend or remove it")
    return Backgrounds(tuple(files))


@lru_cache(maxsize=64)
def _photo(file: Path) -> Image.Image:
    picture = Image.fromarray(whole(file, Scale()))
    side = min(picture.size)
    if side > _LONGEST:
        picture = picture.resize(
            (picture.width * _LONGEST // side, picture.height * _LONGEST // side),
            Image.Resampling.BOX,
        )
    return picture


def _cut(photo: Image.Image, size: int, rng: np.random.Generator) -> Colours:
    """A square of the photo, perhaps mirrored."""
    side = min(photo.size) * rng.uniform(0.35, 1.0)
    left, top = rng.uniform(0, photo.width - side), rng.uniform(0, photo.height - side)
    part = photo.resize(
        (size, size),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
        reducing_gap=2.0,
    )
    found = np.asarray(part, dtype=np.float32)
    return found[:, ::-1] if rng.random() < 0.5 else found


def _clouds(size: int, rng: np.random.Generator) -> Colours:
    """Noise of several scales, each weaker than the one before by a random factor."""
    total = np.zeros((_CELLS, _CELLS, 3), dtype=np.float32)
    weight, fade = 1.0, rng.uniform(0.35, 0.8)
    for cells in _OCTAVES:
        colours = rng.integers(0, 256, size=(cells, cells, 3), dtype=np.uint8)
        grey = colours.mean(axis=2, keepdims=True)
        mixed = (0.35 * colours + 0.65 * grey).astype(np.uint8)
        smooth = Image.fromarray(mixed).resize((_CELLS, _CELLS), Image.Resampling.BICUBIC)
        total += np.float32(weight) * np.asarray(smooth, dtype=np.float32)
        weight *= fade
    total *= np.float32((1 - fade) / (1 - fade ** len(_OCTAVES)))
    whole_picture = Image.fromarray(total.astype(np.uint8))
    return np.asarray(
        whole_picture.resize((size, size), Image.Resampling.BICUBIC), dtype=np.float32
    )


def _gradient(size: int, rng: np.random.Generator) -> Colours:
    """Two colours that pass into each other, with or without waves."""
    first, second = rng.uniform(20, 235, size=(2, 3)).astype(np.float32)
    across = np.linspace(-1, 1, size, dtype=np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    place = np.float32(np.cos(turn)) * across + np.float32(np.sin(turn)) * across[:, None]
    if rng.random() < 0.4:
        place = np.sin(np.float32(rng.uniform(2, 16)) * place)
    share = np.clip(0.5 + 0.5 * place, 0, 1)[:, :, None]
    return np.asarray(first + share * (second - first), dtype=np.float32)


def _with_shapes(picture: Colours, size: int, rng: np.random.Generator) -> Colours:
    """The picture with a few surfaces and lines, as signs, windows and wires are."""
    canvas = Image.fromarray(picture.astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(1, 6))):
        (x0, x1), (y0, y1) = np.sort(rng.uniform(-0.2, 1.2, size=(2, 2)) * size, axis=1)
        colour = tuple(int(value) for value in rng.integers(20, 236, size=3))
        kind = rng.integers(3)
        if kind == 0:
            draw.rectangle((x0, y0, x1, y1), fill=colour)
        elif kind == 1:
            draw.ellipse((x0, y0, x1, y1), fill=colour)
        else:
            wide = 1 + int(size * rng.uniform(0, 0.03))
            draw.line((x0, y1, x1, y0), fill=colour, width=wide)
    return np.asarray(canvas, dtype=np.float32)
