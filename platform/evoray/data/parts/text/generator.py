"""Images of text made from numbers: each is a function of the seed and its index alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from evoray.data.parts.images import Normalisation
from evoray.data.parts.text import layouts, rendering
from evoray.data.parts.text.backgrounds import Backgrounds
from evoray.data.parts.text.fonts import Fonts
from evoray.data.parts.text.layouts import PlacedText
from evoray.data.parts.text.presets import Preset
from evoray.seeds import generator_for
from objectives.parts.text.regions import TextRegion


@dataclass(frozen=True)
class Generator:
    """Makes square images with text.

    Attributes:
        preset: Their difficulty.
        size: Side in pixels.
        fonts: Letters are drawn with these.
        backgrounds: Behind them.
        seed: Seed of all images together.
    """

    preset: Preset
    size: int
    fonts: Fonts
    backgrounds: Backgrounds
    seed: int

    def texts(self, index: int) -> tuple[PlacedText, ...]:
        """Places the texts of an image; quick, for nothing is drawn."""
        rng = generator_for(self.seed, "layout", index)
        return layouts.layout(self.preset, self.size, len(self.fonts), self.fonts.aspect, rng)

    def image(self, index: int) -> tuple[NDArray[np.uint8], tuple[TextRegion, ...]]:
        """(3, size, size) colours, and the texts in them."""
        texts = self.texts(index)
        rng = generator_for(self.seed, "pixels", index)
        pixels = rendering.drawn(self.size, texts, self.fonts, self.backgrounds, self.preset, rng)
        return pixels, tuple(TextRegion(text.polygon, text.text) for text in texts)


class GeneratedSplit:
    """The first images of a generator, a `TextSplit`; each is made when it is first asked for and
    kept, so that a worker makes those that it uses.
    """

    def __init__(
        self,
        generator: Generator,
        count: int,
        name: str,
        mean: Sequence[float],
        std: Sequence[float],
    ) -> None:
        """`name` is the split's, with which the images' names begin."""
        self._generator, self._name = generator, name
        self._pixels = np.empty((count, 3, generator.size, generator.size), dtype=np.uint8)
        self._regions: list[tuple[TextRegion, ...] | None] = [None] * count
        self._normalise = Normalisation(mean, std)

    def __len__(self) -> int:
        return len(self._regions)

    def name(self, index: int) -> str:
        return f"{self._name}_{index:05d}"

    def pixels(self, index: int) -> NDArray[np.uint8]:
        self.regions(index)
        found: NDArray[np.uint8] = self._pixels[index]
        found.flags.writeable = False
        return found

    def regions(self, index: int) -> tuple[TextRegion, ...]:
        known = self._regions[index]
        if known is None:
            pixels, known = self._generator.image(range(len(self))[index])
            self._pixels[index] = pixels
            self._regions[index] = known  # last: whoever sees it finds the pixels there
        return known

    def scale(self, index: int) -> float:
        return 1.0

    def images(self, indices: Sequence[int] | torch.Tensor) -> torch.Tensor:
        chosen = torch.as_tensor(indices)
        for index in chosen.tolist():
            self.regions(index)
        return self._normalise(torch.from_numpy(self._pixels)[chosen])
