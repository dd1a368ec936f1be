"""NASAIC (Yang et al. 2020, arXiv:2002.04116): networks for several tasks and the heterogeneous
chip that runs them, searched together.

"w1" is CIFAR-10 with nuclei segmentation, "w2" CIFAR-10 with STL-10, "w3" CIFAR-10 twice, each with
a chip of two sub-accelerators; "cifar10", "stl10" and "nuclei" are their networks alone;
"w1-narrow", "w2-narrow" and "w3-narrow" leave out the widest, and no block of STL-10's, whose
supernet learns late where blocks are optional; "digits" is a workload of a classifier, a segmenter
and a chip for small images, "digit-pair" one of two classifiers.
"""

from __future__ import annotations

import dataclasses

from searchspaces.base import SearchSpace, nearest
from searchspaces.nasaic.hardware import Hardware
from searchspaces.nasaic.resnet9 import ResNet9
from searchspaces.nasaic.unet import UNet
from searchspaces.parts.product import Product

__all__ = ["PRESETS", "Hardware", "ResNet9", "UNet", "build"]

_CIFAR10 = ResNet9(
    name="nasaic:cifar10",
    stem_widths=(8, 16, 32, 64),
    widths=(32, 64, 128, 256),
    num_blocks=3,
    image_size=32,
    examples=(("NASAIC-discussed", (32, 128, 2, 256, 2, 256, 2)),),
)
_STL10 = ResNet9(
    name="nasaic:stl10",
    stem_widths=(8, 16, 32, 64),
    widths=(0, 32, 64, 128, 256, 512),
    num_blocks=5,
    image_size=96,
)
_NUCLEI = UNet(name="nasaic:nuclei")
_DIGIT = ResNet9(
    name="nasaic:digit",
    stem_widths=(4, 8),
    widths=(0, 8, 16, 32),
    num_blocks=3,
    image_size=16,
    in_channels=1,
    examples=(),
)
_STROKES = UNet(
    name="nasaic:strokes", heights=(1, 2), base_widths=(4, 8), image_size=16, in_channels=1
)
_CHIP = Hardware()
_NARROW_CIFAR10 = dataclasses.replace(
    _CIFAR10,
    name="nasaic:cifar10-narrow",
    stem_widths=(8, 16, 32),
    widths=(32, 64, 128),
    examples=(),
)
_NARROW_STL10 = dataclasses.replace(
    _STL10, name="nasaic:stl10-narrow", stem_widths=(8, 16, 32), widths=(32, 64, 128)
)
_NARROW_NUCLEI = dataclasses.replace(
    _NUCLEI, name="nasaic:nuclei-narrow", heights=(1, 2, 3), base_widths=(4, 8, 16)
)

PRESETS: dict[str, SearchSpace] = {
    "w1": Product(
        name="nasaic:w1", labels=("cifar10", "nuclei", "chip"), parts=(_CIFAR10, _NUCLEI, _CHIP)
    ),
    "w2": Product(
        name="nasaic:w2", labels=("cifar10", "stl10", "chip"), parts=(_CIFAR10, _STL10, _CHIP)
    ),
    "w3": Product(
        name="nasaic:w3", labels=("first", "second", "chip"), parts=(_CIFAR10, _CIFAR10, _CHIP)
    ),
    "w1-narrow": Product(
        name="nasaic:w1-narrow",
        labels=("cifar10", "nuclei", "chip"),
        parts=(_NARROW_CIFAR10, _NARROW_NUCLEI, _CHIP),
    ),
    "w2-narrow": Product(
        name="nasaic:w2-narrow",
        labels=("cifar10", "stl10", "chip"),
        parts=(_NARROW_CIFAR10, _NARROW_STL10, _CHIP),
    ),
    "w3-narrow": Product(
        name="nasaic:w3-narrow",
        labels=("first", "second", "chip"),
        parts=(_NARROW_CIFAR10, _NARROW_CIFAR10, _CHIP),
    ),
    "cifar10": _CIFAR10,
    "stl10": _STL10,
    "nuclei": _NUCLEI,
    "cifar10-narrow": _NARROW_CIFAR10,
    "stl10-narrow": _NARROW_STL10,
    "nuclei-narrow": _NARROW_NUCLEI,
    "digits": Product(
        name="nasaic:digits",
        labels=("digit", "strokes", "chip"),
        parts=(_DIGIT, _STROKES, _CHIP),
        in_channels=1,
        image_size=16,
    ),
    "digit-pair": Product(
        name="nasaic:digit-pair",
        labels=("first", "second", "chip"),
        parts=(_DIGIT, _DIGIT, _CHIP),
        in_channels=1,
        image_size=16,
    ),
}


def build(preset: str = "w1") -> SearchSpace:
    """The space of this preset, a new object.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"space 'nasaic' has no preset {preset!r}; {nearest(preset, PRESETS)}")
    return dataclasses.replace(PRESETS[preset])  # type: ignore[type-var]  # every space here is a dataclass
