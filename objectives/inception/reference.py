"""The statistics of real images that generated ones are compared with, computed once a data set and
extractor.
"""

from __future__ import annotations

import hashlib
import secrets
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from objectives.inception.extractors import Extractor
from objectives.inception.frechet import Gaussian
from objectives.inception.moments import Moments
from objectives.inception.pixels import PixelSource, pixel_batches

_VERSION = b"1"  # of the file's content


@dataclass(frozen=True, eq=False)
class Reference:
    """Real images, seen by one extractor.

    Attributes:
        gaussian: Mean and covariance of all their features.
        rows: (m, d) float32, features of at most `max_rows` images, evenly spread, for the kernel
            distance.
        count: Number of images.
    """

    gaussian: Gaussian
    rows: NDArray[np.float32]
    count: int


def reference(
    source: PixelSource,
    extractor: Extractor,
    *,
    splits: Sequence[str] = ("train", "val"),
    max_rows: int = 5000,
    cache: Path | None = None,
) -> Reference:
    """Statistics of the real images of these splits, in order; `extractor` must be open.

    Published scores compare with the training set; here that is "train" and the "val" that was held
    out of it.

    Args:
        cache: Folder for reference-DIGEST.safetensors, the digest being of the pixels and the
            extractor; a damaged file is set aside.
    """
    if cache is None:
        return _computed(source, extractor, splits, max_rows)
    file = cache / f"reference-{_digest(source, extractor, splits, max_rows)[:32]}.safetensors"
    if file.is_file():
        try:
            return _read(file)
        except (SafetensorError, KeyError, ValueError) as error:
            aside = file.with_name(f"damaged-{file.name}")
            file.replace(aside)
            warnings.warn(
                f"{file} is damaged ({error}): it was set aside as {aside.name} and is computed "
                "anew",
                stacklevel=2,
            )
    found = _computed(source, extractor, splits, max_rows)
    cache.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(8)}.tmp")
    tensors = {
        "mean": found.gaussian.mean,
        "covariance": found.gaussian.covariance,
        "rows": found.rows,
        "count": np.array([found.count], dtype=np.int64),
    }
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, temporary)
    temporary.replace(file)
    return found


def _read(file: Path) -> Reference:
    stored = load_file(file)
    return Reference(
        Gaussian(stored["mean"], stored["covariance"]), stored["rows"], int(stored["count"][0])
    )


def _computed(
    source: PixelSource, extractor: Extractor, splits: Sequence[str], max_rows: int
) -> Reference:
    opened = [source.open(split) for split in splits]
    total = sum(len(split) for split in opened)
    if total < 2:
        raise ValueError(
            f"reference statistics of {source.name!r} need at least 2 images in "
            f"{', '.join(splits)}, got {total}"
        )
    kept = set(np.linspace(0, total - 1, min(max_rows, total)).round().astype(int).tolist())
    moments, rows, position = Moments(extractor.num_features), [], 0
    for split in opened:
        for pixels in pixel_batches(source, split):
            features = extractor.extract(pixels).features_bd.double().cpu().numpy()
            moments.add(features)
            rows.append(
                features[[i for i in range(len(features)) if position + i in kept]].astype(
                    np.float32
                )
            )
            position += len(features)
    return Reference(Gaussian.of(moments), np.concatenate(rows), total)


def _digest(source: PixelSource, extractor: Extractor, splits: Sequence[str], max_rows: int) -> str:
    found = hashlib.sha256(
        b"\0".join(
            [_VERSION, extractor.digest.encode(), repr((source.image_shape, max_rows)).encode()]
        )
    )
    for name in splits:
        for pixels in pixel_batches(source, source.open(name)):
            found.update(pixels.numpy().tobytes())
    return found.hexdigest()
