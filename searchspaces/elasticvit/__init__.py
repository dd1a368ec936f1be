"""ElasticViT (Tang et al. 2023, arXiv:2303.09730): one supernet of MBConv and transformer stages
for weak and strong phones alike.

The preset "final" is the space of the released configuration; the others are scaled down for small
images.
"""

from __future__ import annotations

import dataclasses

from searchspaces.base import nearest
from searchspaces.elasticvit.plan import ConvStage, Plan, TransformerStage
from searchspaces.elasticvit.space import ElasticViT

__all__ = ["PRESETS", "ConvStage", "ElasticViT", "Plan", "TransformerStage", "build"]

_FINAL = ElasticViT(
    name="elasticvit",
    resolutions=(128, 160, 176, 192, 224, 256),
    stem_widths=(16, 24),
    conv_stages=(
        ConvStage(widths=(16, 24, 32), depths=(2, 3, 4, 5)),
        ConvStage(widths=(16, 24, 32, 40, 48), depths=(2, 3, 4, 5, 6), squeeze=True),
    ),
    transformer_stages=(
        TransformerStage(widths=(48, 64, 80, 96), depths=(1, 2, 3, 4, 5)),
        TransformerStage(widths=(80, 96, 112, 128, 144, 160), depths=(1, 2, 3, 4, 5, 6), stride=1),
        TransformerStage(widths=tuple(range(144, 289, 16)), depths=(1, 2, 3, 4, 5, 6)),
        TransformerStage(widths=tuple(range(160, 321, 16)), depths=(1, 2, 3, 4, 5, 6)),
    ),
)

_DIGITS = ElasticViT(
    name="elasticvit:digits",
    in_channels=1,
    num_classes=10,
    resolutions=(16, 24, 32),
    stem_widths=(8,),
    stem_depths=(1,),
    stem_kernels=(3, 5),
    conv_stages=(
        ConvStage(widths=(12, 16, 24), depths=(1, 2, 3), expands=(2, 3, 4), squeeze=True),
    ),
    transformer_stages=(
        TransformerStage(
            widths=(32, 48, 64), depths=(1, 2, 3), mlp_ratios=(1, 2, 3), value_scales=(1, 2)
        ),
        TransformerStage(
            widths=(64, 80, 96), depths=(1, 2, 3), mlp_ratios=(1, 2, 3), value_scales=(1, 2)
        ),
    ),
    mixing_ratio=2,
    last_width=128,
)

_CIFAR = ElasticViT(
    name="elasticvit:cifar",
    num_classes=10,
    resolutions=(24, 28, 32),
    stem_widths=(16, 24),
    first_stride=1,
    conv_stages=(
        ConvStage(widths=(24, 32), depths=(1, 2, 3), expands=(2, 3, 4)),
        ConvStage(widths=(32, 40, 48), depths=(1, 2, 3), expands=(2, 3, 4), stride=1, squeeze=True),
    ),
    transformer_stages=(
        TransformerStage(widths=(48, 64, 80), depths=(1, 2, 3), mlp_ratios=(2, 3, 4)),
        TransformerStage(widths=(80, 96, 112, 128), depths=(1, 2, 3, 4), mlp_ratios=(2, 3, 4)),
    ),
    mixing_ratio=4,
    last_width=384,
)

_IMAGENET64 = ElasticViT(
    name="elasticvit:imagenet64",
    num_classes=10,
    resolutions=(40, 48, 56, 64),
    stem_widths=(16, 24),
    conv_stages=(
        ConvStage(widths=(16, 24, 32), depths=(1, 2, 3), stride=1),
        ConvStage(widths=(24, 32, 40, 48), depths=(1, 2, 3, 4), squeeze=True),
    ),
    transformer_stages=(
        TransformerStage(widths=(48, 64, 80, 96), depths=(1, 2, 3)),
        TransformerStage(widths=(96, 112, 128, 144), depths=(1, 2, 3, 4), stride=1),
        TransformerStage(widths=(144, 176, 208, 240), depths=(1, 2, 3, 4)),
    ),
    last_width=960,
)

PRESETS = {"final": _FINAL, "digits": _DIGITS, "cifar": _CIFAR, "imagenet64": _IMAGENET64}


def build(preset: str = "final") -> ElasticViT:
    """A space of its own, so that what one caller caches in it does not grow another's pickle.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"elasticvit has no preset {preset!r}; {nearest(preset, PRESETS)}")
    return dataclasses.replace(PRESETS[preset])
