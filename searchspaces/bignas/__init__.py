"""BigNAS (Yu et al. 2020, arXiv:2003.11142): one big single-stage model, whose slices are deployed
as they are.

The preset "paper" is the table of the paper as its re-implementations agree on it; the others are
scaled down for small images.
"""

from __future__ import annotations

import dataclasses

from searchspaces.base import nearest
from searchspaces.bignas.plan import Plan, Stage
from searchspaces.bignas.space import BigNAS

__all__ = ["PRESETS", "BigNAS", "Plan", "Stage", "build"]

_PAPER = BigNAS(
    name="bignas",
    resolutions=(192, 224, 288, 320),
    stem_widths=(32, 40),
    stages=(
        Stage(widths=(16, 24), depths=(1, 2), kernels=(3,), stride=1, expand=1),
        Stage(widths=(24, 32), depths=(2, 3), kernels=(3,), stride=2),
        Stage(widths=(40, 48), depths=(2, 3), kernels=(3, 5), stride=2),
        Stage(widths=(80, 88), depths=(2, 3, 4), kernels=(3, 5), stride=2),
        Stage(widths=(112, 120, 128), depths=(2, 3, 4, 5, 6), kernels=(3, 5), stride=1),
        Stage(widths=(192, 200, 208, 216), depths=(2, 3, 4, 5, 6), kernels=(3, 5), stride=2),
        Stage(widths=(320, 352), depths=(1, 2), kernels=(3, 5), stride=1),
    ),
    last_widths=(1280, 1408),
)

# The small presets share no width between neighbouring stages. Where they do, a stage's shortcut is
# a convolution in some subnets and
# the input itself in others, and weights trained for the one are poor for the other. Mean accuracy
# of 20 random recalibrated subnets
# after 240 sandwich steps on digits, seeds 0 to 2: 85, 85, 88 % with stages of 8|12, 16|24, 24|32,
# 32|48 after a stem of 8|16, and
# 89, 91, 92 % with the widths below (at 1.13 times the MACs of the largest).
_DIGITS = BigNAS(
    name="bignas:digits",
    in_channels=1,
    num_classes=10,
    resolutions=(16, 24, 32),
    stem_widths=(8, 16),
    stages=(
        Stage(widths=(12, 20), depths=(1, 2, 3), kernels=(3, 5), stride=2, expand=1),
        Stage(widths=(16, 24), depths=(1, 2, 3), kernels=(3, 5), stride=1, expand=2),
        Stage(widths=(32, 40), depths=(1, 2, 3), kernels=(3, 5), stride=2, expand=3),
        Stage(widths=(48, 56), depths=(1, 2, 3), kernels=(3, 5), stride=1, expand=3),
    ),
    last_widths=(64, 128),
)

_CIFAR = BigNAS(
    name="bignas:cifar",
    num_classes=10,
    resolutions=(24, 28, 32),
    stem_widths=(16, 24),
    stem_stride=1,
    stages=(
        Stage(widths=(12, 20), depths=(1, 2, 3), kernels=(3, 5), stride=2, expand=1),
        Stage(widths=(24, 32), depths=(1, 2, 3), kernels=(3, 5), stride=1, expand=3),
        Stage(widths=(40, 56), depths=(1, 2, 3), kernels=(3, 5), stride=2, expand=4),
        Stage(widths=(64, 96), depths=(1, 2, 3), kernels=(3, 5), stride=2, expand=4),
    ),
    last_widths=(192, 256),
)

_IMAGENET96 = BigNAS(
    name="bignas:imagenet96",
    num_classes=10,
    resolutions=(64, 80, 96),
    stem_widths=(16, 24),
    stages=(
        Stage(widths=(12, 20), depths=(1, 2), kernels=(3,), stride=1, expand=1),
        Stage(widths=(24, 32), depths=(1, 2, 3), kernels=(3, 5), stride=2, expand=4),
        Stage(widths=(40, 56), depths=(1, 2, 3), kernels=(3, 5), stride=2, expand=4),
        Stage(widths=(80, 112), depths=(1, 2, 3, 4), kernels=(3, 5), stride=2, expand=4),
        Stage(widths=(128, 192), depths=(1, 2), kernels=(3, 5), stride=1, expand=6),
    ),
    last_widths=(512, 768),
)

PRESETS = {"paper": _PAPER, "digits": _DIGITS, "cifar": _CIFAR, "imagenet96": _IMAGENET96}


def build(preset: str = "paper") -> BigNAS:
    """A space of its own, so that what one caller caches in it does not grow another's pickle.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"bignas has no preset {preset!r}; {nearest(preset, PRESETS)}")
    return dataclasses.replace(PRESETS[preset])
