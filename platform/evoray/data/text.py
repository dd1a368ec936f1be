"""Generated images of curved text: real fonts, bent and turned, on photos, noise and gradients;
polygons come from the curves' own formulas. Embedded, no download.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from evoray.data.parts.contents import Contents, of_files
from evoray.data.parts.images import check_split
from evoray.data.parts.text import backgrounds, fonts
from evoray.data.parts.text.backgrounds import Backgrounds
from evoray.data.parts.text.facts import facts_of
from evoray.data.parts.text.fonts import Fonts
from evoray.data.parts.text.generator import GeneratedSplit, Generator
from evoray.data.parts.text.presets import PRESETS
from evoray.seeds import seed_for

_COUNTS = {"train": 2000, "val": 300, "test": 500}
_MEMORY_BYTES = 8 * 1024**3
_DESCRIBED = 400  # images whose texts are counted
_VERSION = 1  # of the generator: another one makes other images of the same fonts and photos


@dataclass(frozen=True, kw_only=True)
class GeneratedText:
    """Images of text with a polygon for each, a `TextSource`.

    Attributes:
        preset: One of PRESETS.
        image_size: Side in pixels; texts grow with it.
        limit: So many training images, which may be more than the 2,000 that there are without it.
        folder: Holds fonts/ or backgrounds/ or both, to be used instead of those of installed
            packages; None for these alone.
    """

    preset: str = "curved"
    image_size: int = 256
    limit: int | None = None
    folder: Path | None = None
    task: str = "text_detection"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    mirror: bool = False

    @property
    def name(self) -> str:
        return "text" if self.preset == next(iter(PRESETS)) else f"text:{self.preset}"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 3, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return self.limit or _COUNTS["train"]

    def open(self, split: str) -> GeneratedSplit:
        return _opened(self, split)

    def generator(self, split: str) -> Generator:
        """The generator of a split's images, as many as one likes."""
        check_split(split)
        return Generator(
            PRESETS[self.preset],
            self.image_size,
            _fonts(self.folder),
            _backgrounds(self.folder),
            seed_for(0, "text", split),
        )

    def facts(self) -> dict[str, str]:
        """Difficulty of the texts of some training images."""
        generator = self.generator("train")
        images = [
            [text.polygon for text in generator.texts(index)]
            for index in range(min(self.size, _DESCRIBED))
        ]
        about = PRESETS[self.preset].about
        return {"texts": about} | facts_of(images, [float(self.image_size)] * len(images))

    def contents(self) -> Contents:
        """Describes the fonts, the photos and the preset, which images are a function of."""
        faces, photos = _fonts(self.folder).files, _backgrounds(self.folder).photos
        named = [
            *((f"fonts/{index}/{file.name}", file) for index, file in enumerate(faces)),
            *((f"backgrounds/{index}/{file.name}", file) for index, file in enumerate(photos)),
        ]
        found = of_files(named)
        words = f"{found.digest} {_VERSION} {PRESETS[self.preset]!r}"
        return Contents(hashlib.sha256(words.encode()).hexdigest(), found.files, found.size)


@lru_cache(maxsize=4)
def _opened(source: GeneratedText, split: str) -> GeneratedSplit:
    """Once a process: sources are frozen, so equal ones share what was made."""
    generator = source.generator(split)
    count = source.size if split == "train" else _COUNTS[split]
    return GeneratedSplit(generator, count, split, source.mean, source.std)


@cache
def _fonts(folder: Path | None) -> Fonts:
    own = folder and folder / "fonts"
    return fonts.of_folder(own) if own and own.is_dir() else fonts.installed()


@cache
def _backgrounds(folder: Path | None) -> Backgrounds:
    own = folder and folder / "backgrounds"
    return backgrounds.of_folder(own) if own and own.is_dir() else backgrounds.installed()


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
    preset: str = "curved",
) -> GeneratedText:
    """Generated text; `root` may hold fonts/ and backgrounds/ of one's own.

    Raises:
        FileNotFoundError: The root holds neither.
        ValueError: It has no usable font or picture there, the images would take too much memory,
            or they should be downloaded.
    """
    if download:
        raise ValueError(
            "data source 'text' is generated, nothing is fetched: leave out --data.download"
        )
    source = GeneratedText(preset=preset, image_size=image_size or 256, limit=limit, folder=root)
    if root is not None and not root.is_dir():
        raise FileNotFoundError(
            f"data folder {root} does not exist: give --data.root a folder with fonts/ or "
            "backgrounds/, or leave it out"
        )
    if root is not None and not any((root / part).is_dir() for part in ("fonts", "backgrounds")):
        raise FileNotFoundError(
            f"data folder {root} holds neither fonts/ nor backgrounds/: put *.ttf files or "
            "pictures there, or leave out --data.root for those of installed packages"
        )
    needed = source.size * 3 * source.image_size**2
    if needed > _MEMORY_BYTES:
        raise ValueError(
            f"{source.size:,} images of {source.image_size} px take {needed / 1024**3:.1f} GiB, "
            f"more than {_MEMORY_BYTES // 1024**3}: choose a smaller --data.image-size or a "
            "--data.limit"
        )
    if root is not None:
        _fonts(root)
        _backgrounds(root)
    return source
