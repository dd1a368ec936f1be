"""EAGAN (Ying et al. 2022, arXiv:2111.15097): generators and discriminators of three cells,
searched one after the other.

A preset is one of the two networks for one image size: CIFAR-10's 32 pixels, STL-10's 48, and small
grey images of 16.
"""

from __future__ import annotations

import dataclasses

from searchspaces.base import nearest
from searchspaces.eagan.discriminator import Discriminator, PlainDiscriminator
from searchspaces.eagan.generator import Generator

__all__ = ["PRESETS", "Discriminator", "Generator", "PlainDiscriminator", "build"]

PRESETS: dict[str, Generator | Discriminator] = {
    "generator": Generator(name="eagan:generator"),
    "discriminator": Discriminator(name="eagan:discriminator"),
    "generator-stl10": Generator(name="eagan:generator-stl10", image_size=48),
    "discriminator-stl10": Discriminator(name="eagan:discriminator-stl10", image_size=48),
    "generator-digits": Generator(
        name="eagan:generator-digits", image_size=16, image_channels=1, channels=24, latent=60
    ),
    "discriminator-digits": Discriminator(
        name="eagan:discriminator-digits", image_size=16, image_channels=1, channels=24
    ),
}


def build(preset: str = "generator") -> Generator | Discriminator:
    """A space of its own, so that what one caller caches in it does not grow another's pickle.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"eagan has no preset {preset!r}; {nearest(preset, PRESETS)}")
    return dataclasses.replace(PRESETS[preset])
