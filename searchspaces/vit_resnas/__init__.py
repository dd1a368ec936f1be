"""ViT-ResNAS (Liao et al. 2021, arXiv:2109.00642): multi-stage vision transformers with residual
spatial reduction.

The presets "tiny" and "small" are the spaces of the released configurations, the second for the
published Small and Medium; the others are scaled down for small images.
"""

from __future__ import annotations

import dataclasses

from searchspaces.base import nearest
from searchspaces.vit_resnas.plan import Plan, Stage
from searchspaces.vit_resnas.published import reference
from searchspaces.vit_resnas.space import ViTResNAS

__all__ = ["PRESETS", "Plan", "Stage", "ViTResNAS", "build", "reference"]

_SIX = (False, True) * 3
_SEVEN = (*_SIX, False)

_TINY = ViTResNAS(
    name="vit_resnas",
    stages=(
        Stage(
            widths=(160, 176, 192, 224, 256),
            head_width=32,
            heads=(3, 4, 5, 6),
            hidden=tuple(range(384, 769, 64)),
            optional=_SIX,
        ),
        Stage(
            widths=(320, 352, 384, 448, 512),
            head_width=48,
            heads=(6, 8, 10, 12),
            hidden=tuple(range(768, 1537, 128)),
            optional=_SIX,
        ),
        Stage(
            widths=(640, 704, 768, 896, 1024),
            head_width=64,
            heads=(6, 8, 10, 12),
            hidden=tuple(range(1536, 3073, 256)),
            optional=_SIX,
        ),
    ),
)

_SMALL = ViTResNAS(
    name="vit_resnas:small",
    stages=(
        Stage(
            widths=(200, 220, 240, 280, 320),
            head_width=32,
            heads=(5, 6, 7, 8),
            hidden=tuple(range(480, 961, 80)),
            optional=_SEVEN,
        ),
        Stage(
            widths=(400, 440, 480, 560, 640),
            head_width=48,
            heads=(10, 12, 14, 16),
            hidden=tuple(range(960, 1921, 160)),
            optional=_SEVEN,
        ),
        Stage(
            widths=(800, 880, 960, 1120, 1280),
            head_width=64,
            heads=(10, 12, 14, 16),
            hidden=tuple(range(1920, 3841, 320)),
            optional=_SEVEN,
        ),
    ),
)

_DIGITS = ViTResNAS(
    name="vit_resnas:digits",
    in_channels=1,
    num_classes=10,
    image_size=32,
    stem_width=8,
    stem_stride=1,
    patch=4,
    stages=(
        Stage(
            widths=(16, 24, 32),
            head_width=8,
            heads=(1, 2, 3, 4),
            hidden=(24, 32, 48, 64),
            optional=(False, True),
        ),
        Stage(
            widths=(32, 48, 64),
            head_width=8,
            heads=(2, 4, 6, 8),
            hidden=(48, 64, 96, 128),
            optional=(False, True),
        ),
        Stage(
            widths=(64, 80, 96),
            head_width=16,
            heads=(2, 3, 4, 6),
            hidden=(96, 128, 192),
            optional=(False, True),
        ),
    ),
)

_CIFAR = ViTResNAS(
    name="vit_resnas:cifar",
    num_classes=10,
    image_size=32,
    stem_stride=1,
    patch=2,
    stages=(
        Stage(
            widths=(32, 48, 64),
            head_width=16,
            heads=(2, 3, 4),
            hidden=(64, 96, 128, 160, 192),
            optional=(False, True, False, True),
        ),
        Stage(
            widths=(64, 96, 128),
            head_width=24,
            heads=(2, 4, 6),
            hidden=(128, 192, 256, 320, 384),
            optional=(False, True, False, True),
        ),
        Stage(
            widths=(128, 160, 192),
            head_width=32,
            heads=(3, 4, 6),
            hidden=(256, 384, 512, 576),
            optional=(False, True, False, True),
        ),
    ),
)

_IMAGENET64 = dataclasses.replace(
    _CIFAR, name="vit_resnas:imagenet64", image_size=64, stem_stride=2
)

PRESETS = {
    "tiny": _TINY,
    "small": _SMALL,
    "digits": _DIGITS,
    "cifar": _CIFAR,
    "imagenet64": _IMAGENET64,
}


def build(preset: str = "tiny") -> ViTResNAS:
    """A space of its own, so that what one caller caches in it does not grow another's pickle.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"vit_resnas has no preset {preset!r}; {nearest(preset, PRESETS)}")
    return dataclasses.replace(PRESETS[preset])
