"""NASK-style text detectors with Text RoI Pooling (Cao and Zou 2020, arXiv:2004.12436); see
searchspaces/nask.

The preset "full" is for images of 512 to 1280 pixels and a GPU, "small" for 256 and a laptop.
"""

from __future__ import annotations

import dataclasses

from searchspaces.base import nearest
from searchspaces.nask import NASK, Stage

# ResNet-18 to ResNet-34 at half, three quarters and all of their widths lie inside.
_FULL = NASK(
    name="nask_v1",
    resolutions=(512, 640, 800, 1024, 1280),
    stem_widths=(32, 64),
    stages=(
        Stage(widths=(32, 48, 64), depths=(2, 3)),
        Stage(widths=(64, 96, 128), depths=(2, 3, 4)),
        Stage(widths=(128, 192, 256), depths=(2, 3, 4, 5, 6)),
        Stage(widths=(256, 384, 512), depths=(2, 3)),
    ),
    pyramid_widths=(64, 96, 128, 192, 256),
    groups=(1, 2, 4, 8, 16),
    roi_sizes=("16x64", "32x128", "64x256"),
    operators=("text_roi_pooling",),
    fox_widths=(32, 64, 128, 256),
    fox_depths=(2, 3, 4),
)

# For images of 256 pixels on a laptop: three quarters of a million parameters at the top.
_SMALL = NASK(
    name="nask_v1:small",
    resolutions=(192, 224, 256),
    stem_widths=(8, 16),
    stages=(
        Stage(widths=(8, 12, 16), depths=(1, 2)),
        Stage(widths=(16, 24, 32), depths=(1, 2)),
        Stage(widths=(32, 48, 64), depths=(1, 2)),
        Stage(widths=(64, 96, 128), depths=(1, 2)),
    ),
    pyramid_widths=(16, 24, 32),
    roi_sizes=("16x64",),
    operators=("text_roi_pooling",),
    fox_widths=(16, 24),
    fox_depths=(2, 3, 4),
)

PRESETS = {"full": _FULL, "small": _SMALL}


def build(preset: str = "full") -> NASK:
    """A space of its own, so that what one caller caches in it does not grow another's pickle.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"nask_v1 has no preset {preset!r}; {nearest(preset, PRESETS)}")
    return dataclasses.replace(PRESETS[preset])
