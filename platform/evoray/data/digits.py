"""scikit-learn's digits: 1,797 real handwritten digits of 8 x 8 grey pixels, embedded, no download
(UCI optdigits test set).
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evoray.data.parts.contents import Contents, of_arrays
from evoray.data.parts.images import Arrays, MemorySplit, opened, resized
from evoray.data.parts.splitting import stratified, train_or_val

_TEST_SHARE, _VAL_SHARE = 0.2, 0.25  # 60 % train, 20 % val, 20 % test


@dataclass(frozen=True, kw_only=True)
class Digits:
    """Digits, scaled up to `image_size` pixels.

    Attributes:
        image_size: Side in pixels.
        limit: At most so many training images.
    """

    image_size: int = 32
    limit: int | None = None
    name: str = "digits"
    num_classes: int = 10
    mean: tuple[float, ...] = (0.305,)
    std: tuple[float, ...] = (0.33,)
    mirror: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return 1, self.image_size, self.image_size

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> MemorySplit:
        return opened(self, split, _read)

    def contents(self) -> Contents:
        images, labels = _pixels_and_labels()
        return of_arrays((images, labels))

    @property
    def folder(self) -> None:
        return None


def _pixels_and_labels() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """(n, 64) grey values from 0 to 16 and (n,) digits, as scikit-learn's `load_digits` has them.

    Its file is read without it: to import scikit-learn, and with it scipy and pandas, takes longer
    than everything else before the first line of a run.
    """
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None
    assert spec.submodule_search_locations
    file = Path(spec.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    table = np.loadtxt(file, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)


def _read(source: Digits, split: str) -> Arrays:
    images, labels = _pixels_and_labels()
    pixels = np.round(images.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    labels = labels.astype(np.int64)
    rest, test = stratified(labels, _TEST_SHARE, "test")
    chosen = (
        test
        if split == "test"
        else rest[train_or_val(labels[rest], split, _VAL_SHARE, source.limit)]
    )
    return resized(pixels[chosen], source.image_size), labels[chosen]


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> Digits:
    """Digits; there is nothing to read from a folder or to fetch, so `root` and `download` are
    refused.

    Raises:
        ValueError: A root was given.
    """
    if root is not None or download:
        raise ValueError(
            "data source 'digits' is embedded and reads no folder: leave out --data.root (got "
            f"{root}) and --data.download"
        )
    return Digits(image_size=image_size or 32, limit=limit)
