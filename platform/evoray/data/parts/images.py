"""Parts that the sources share: a split of uint8 images in memory, and the base that caches opened
splits in the process.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from evoray.data.parts.contents import Contents
from objectives.base import Split

# What readers raise for files that are missing, cut off, or not what they claim to be.
_DAMAGE = (
    OSError,
    EOFError,
    LookupError,
    TypeError,
    ValueError,
    AssertionError,
    RuntimeError,
    pickle.UnpicklingError,
    BadZipFile,
    struct.error,
)
SPLITS = ("train", "val", "test")


class ImageSource(Protocol):
    """A `DataSource` that also says how its images may be augmented and how they are normalised."""

    @property
    def name(self) -> str: ...

    @property
    def image_shape(self) -> tuple[int, int, int]: ...

    @property
    def mean(self) -> tuple[float, ...]:
        """Mean of each channel, on a scale of 0 to 1."""
        ...

    @property
    def std(self) -> tuple[float, ...]:
        """Standard deviation of each channel, on the same scale."""
        ...

    @property
    def mirror(self) -> bool:
        """Tells whether a mirrored image is still an example of its class."""
        ...

    @property
    def size(self) -> int:
        """Number of training images."""
        ...

    @property
    def folder(self) -> Path | None:
        """The folder that is read; None for embedded data."""
        ...

    def open(self, split: str) -> Split: ...

    def contents(self) -> Contents:
        """Describes the data that is read, whatever the images are scaled to."""
        ...


@runtime_checkable
class HasClasses(Protocol):
    """A source whose images, or their pixels, are labelled with classes."""

    @property
    def num_classes(self) -> int: ...


@runtime_checkable
class HasFacts(Protocol):
    """A source of which more is worth knowing than shapes and counts."""

    def facts(self) -> Mapping[str, str]:
        """Numbers of its training images in words, by name."""
        ...


class LabelledImageSource(ImageSource, HasClasses, Protocol):
    """An `ImageSource` with classes, a `LabelledSource` too."""

    def open(self, split: str) -> MemorySplit: ...


def with_classes(source: ImageSource) -> LabelledImageSource:
    """The source, for work that needs classes.

    Raises:
        ValueError: It has none.
    """
    if not isinstance(source, HasClasses):
        raise ValueError(
            f"data source {source.name!r} has no classes, and this needs an image's or a pixel's: "
            "choose another with --data, such as digits or strokes"
        )
    return cast(LabelledImageSource, source)


@runtime_checkable
class HasUnlabelledSplits(Protocol):
    """A source that has images without labels besides, for what learns without them."""

    @property
    def unlabelled_splits(self) -> tuple[str, ...]:
        """Names that `open` takes as well."""
        ...


def unlabelled_splits(source: ImageSource) -> tuple[str, ...]:
    """The splits whose images have no labels; () for most sources."""
    return source.unlabelled_splits if isinstance(source, HasUnlabelledSplits) else ()


class Normalisation:
    """Turns stored pixels into what networks see."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """`mean` and `std` of each channel, on a scale of 0 to 1."""
        self._scale = 1.0 / (255.0 * torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1))
        self._shift = (
            -torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1) * 255.0 * self._scale
        )

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) uint8 -> float32."""
        return pixels.to(torch.float32) * self._scale + self._shift


class MemorySplit:
    """Images held as uint8, normalised when they are asked for.

    Attributes:
        labels: (n,) int64.
    """

    def __init__(
        self,
        pixels: NDArray[np.uint8],
        labels: NDArray[np.int64],
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """`pixels` is (n, c, h, w)."""
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or len(pixels) != len(labels):
            raise ValueError(
                f"a split needs (n, c, h, w) uint8 images and n labels, got {pixels.shape} "
                f"{pixels.dtype} and {len(labels)}"
            )
        self._pixels = torch.from_numpy(np.ascontiguousarray(pixels))
        self.labels = torch.from_numpy(np.asarray(labels, dtype=np.int64))
        self._normalise = Normalisation(mean, std)

    def __len__(self) -> int:
        return len(self.labels)

    def images(self, indices: Sequence[int] | torch.Tensor) -> torch.Tensor:
        """(b, c, h, w) float32, normalised."""
        return self._normalise(self._pixels[torch.as_tensor(indices)])


Arrays = tuple[NDArray[np.uint8], NDArray[np.int64]]  # (n, c, h, w) pixels and (n,) labels


def check_split(split: str, also: Sequence[str] = ()) -> None:
    """Raises ValueError for anything but "train", "val", "test" and what the source has `also`."""
    if split not in (*SPLITS, *also):
        raise ValueError(f"no split {split!r}; there is {', '.join((*SPLITS, *also))}")


def resized(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """(n, c, h, w) -> (n, c, size, size), bilinear with antialiasing; as it is where it has that
    size.
    """
    if pixels.shape[-2:] == (size, size):
        return pixels
    parts = []
    for start in range(0, len(pixels), 4096):
        part = torch.from_numpy(pixels[start : start + 4096]).to(torch.float32)
        scaled = torch.nn.functional.interpolate(
            part, size=(size, size), mode="bilinear", antialias=True, align_corners=False
        )
        parts.append(scaled.round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(parts)


def data_folder(
    root: Path | None, environment: str, candidates: Sequence[str], source: str, expected: str
) -> Path:
    """The first folder that exists among `root` (or the one the environment names) and its
    `candidates` inside.

    Raises:
        FileNotFoundError: None does; says what was looked for.
    """
    base = root if root is not None else Path(environment).absolute() if environment else None
    if base is None:
        raise FileNotFoundError(
            f"data source {source!r} needs a folder: give --data.root DIR or set EVORAY_DATA; "
            f"expected there: {expected}"
        )
    if not base.is_dir():
        raise FileNotFoundError(
            f"data folder {base} does not exist: give --data.root an existing folder with "
            f"{expected}"
        )
    for name in candidates:
        if (base / name).exists():
            return base / name
    raise FileNotFoundError(f"data folder {base} has no {source} data: expected {expected}")


@lru_cache(maxsize=4)
def opened(
    source: LabelledImageSource, split: str, read: Callable[[Any, str], Arrays]
) -> MemorySplit:  # Any: each reader knows its own source
    """`read(split)` once a process; sources are frozen, so equal ones share what is open."""
    check_split(split, unlabelled_splits(source))
    try:
        pixels, labels = read(source, split)
    except _DAMAGE as error:
        raise ValueError(
            f"the {split} part of data source {source.name!r} in {source.folder} cannot be read: "
            f"{str(error) or type(error).__name__}; restore its files"
        ) from error
    if not len(labels):
        raise ValueError(
            f"the {split} part of data source {source.name!r} in {source.folder} holds no image: "
            "restore its files"
        )
    return MemorySplit(pixels, labels, source.mean, source.std)
