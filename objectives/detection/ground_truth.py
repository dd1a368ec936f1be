"""The annotated regions of a set of images, made ready once for any number of scorings."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from objectives.parts.text.polygons import Polygons
from objectives.parts.text.regions import ImageRegions


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Regions of all images in one row, image after image.

    Attributes:
        images: Names, in the order of the annotations.
        image: (m,) which of `images` a region belongs to.
        ignored: (m,) "don't care" regions.
        polygons: The m repaired polygons; a refused one can be matched by nothing.
        raw: The m polygons as they were annotated.
    """

    images: tuple[str, ...]
    image: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    polygons: Polygons
    raw: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, truth: Sequence[ImageRegions]) -> GroundTruth:
        """The ground truth of these annotations.

        Raises:
            ValueError: There is no image, or two have one name.
        """
        names = tuple(image.image for image in truth)
        if not names:
            raise ValueError("a score needs images with annotations, got none")
        doubled = sorted(name for name, count in Counter(names).items() if count > 1)
        if doubled:
            raise ValueError(
                f"the name of each image must be its own, got {len(doubled)} of them more than "
                f"once: {', '.join(doubled[:3])}"
            )
        regions = [region for image in truth for region in image.regions]
        raw = tuple(np.asarray(region.polygon, dtype=np.float64) for region in regions)
        return cls(
            names,
            np.repeat(np.arange(len(names)), [len(image.regions) for image in truth]),
            np.array([region.ignored for region in regions], dtype=np.bool_),
            Polygons.repaired(raw),
            raw,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of a canonical form of what protocols see: for each image, sorted by name, the
        corners and the "don't care" flag of each region in their order. Texts take no part: copies
        of a set that differ in accents give the same scores and have the same digest.
        """
        regions: list[list[object]] = [[] for _ in self.images]
        for image, ignored, polygon in zip(self.image, self.ignored, self.raw, strict=True):
            regions[image].append([polygon.tolist(), bool(ignored)])
        canonical = sorted(zip(self.images, regions, strict=True), key=lambda pair: pair[0])
        text = json.dumps(canonical, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
