"""One network of a search as a detector of pictures of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray

from evoray.data.parts.images import Normalisation
from evoray.data.parts.text.letterbox import letterboxed, scale_of
from evoray.results.export import ExportedNetwork
from objectives.base import DataSource
from objectives.detection.objective import detections, look_twice
from objectives.parts.text.decoding.detections import Original
from objectives.parts.text.decoding.proposals import MAP_STRIDE
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import Detection


class _Normalised(Protocol):
    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def std(self) -> tuple[float, ...]: ...


@dataclass(frozen=True)
class Detector:
    """A network with what stands before and after it.

    Attributes:
        network: Takes (b, 3, S, S) and looks again with `second`.
        size: S, the side in pixels.
        normalise: Turns stored pixels into what the network sees.
        settings: Say how its outputs are decoded.
    """

    network: Any
    size: int
    normalise: Normalisation
    settings: DecodingSettings

    @classmethod
    def of(cls, found: ExportedNetwork, source: DataSource) -> Detector:
        """The network as it is exported, for pictures like those of `source`."""
        normalised = cast(_Normalised, source)
        return cls(
            found.network.eval(),
            found.input_shape[1],
            Normalisation(normalised.mean, normalised.std),
            DecodingSettings(**found.about["decoding"]),
        )

    def __call__(self, pixels: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """(h, w, 3) -> texts, in pixels of the picture."""
        height, width, _ = pixels.shape
        square = torch.from_numpy(letterboxed(pixels, self.size)[None])
        with torch.inference_mode():
            maps, features = self.network(self.normalise(square))
            (look,) = look_twice(self.network, maps, features, self.settings)
        factor = MAP_STRIDE * maps.shape[-2] / self.size
        original = Original(width, height, scale_of(height, width, self.size) * factor)
        return detections(look, original, self.settings)
