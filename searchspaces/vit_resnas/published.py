"""Networks that ViT-ResNAS's authors released, by the name of the space: options by gene name.

Liao et al. 2021, arXiv:2109.00642. They publish the blocks that a network has. Which optional
blocks it goes without is known of Small; of the others the last optional blocks of the stage are
taken to be missing, which makes the same stand-alone network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from searchspaces.base import Option
from searchspaces.vit_resnas.plan import BlockShape, Plan, ReductionShape, StemShape

Stage = tuple[
    int, Sequence[tuple[int, int] | None], Sequence[int]
]  # width; heads and hidden width of a block; optional blocks from 1


def _options(*stages: Stage) -> dict[str, Option]:
    found: dict[str, Option] = {}
    for number, (width, blocks, optional) in enumerate(stages, start=1):
        found[f"stage{number}.width"] = width
        for place, block in enumerate(blocks, start=1):
            name = f"stage{number}.block{place}"
            if place in optional:
                found[f"{name}.exists"] = int(block is not None)
            if block is not None:
                found |= {f"{name}.heads": block[0], f"{name}.hidden": block[1]}
    return found


_EVEN = (2, 4, 6)

_TINY = _options(
    (176, [(3, 704), (3, 576), (3, 640), (4, 576), (4, 704), None], _EVEN),
    (352, [(10, 1408), (8, 1408), (8, 1280), (8, 1408), (10, 1280), (10, 1024)], _EVEN),
    (704, [(10, 2560), (10, 1792), (10, 2816), (8, 2816), (8, 2560), None], _EVEN),
)
_SMALL = _options(
    (220, [(5, 880), (5, 880), (7, 800), None, (5, 720), (5, 720), (5, 720)], _EVEN),
    (440, [(10, 1760), (10, 1440), (10, 1920), (10, 1600), (12, 1600), None, (12, 1440)], _EVEN),
    (880, [(16, 3200), (12, 3200), (16, 2880), None, (12, 2240), None, (14, 2560)], _EVEN),
)
_MEDIUM = _options(
    (240, [(7, 960), (6, 960), (7, 800), (8, 960), (7, 880), (8, 880), (6, 800)], _EVEN),
    (
        640,
        [(10, 1120), (14, 1760), (14, 1920), (16, 1760), (14, 1440), (16, 1760), (16, 1920)],
        _EVEN,
    ),
    (880, [(16, 3200), (10, 3840), (16, 3840), (12, 3200), (16, 3520), None, (14, 3520)], _EVEN),
)

PUBLISHED: Mapping[str, Mapping[str, Mapping[str, Option]]] = {
    "vit_resnas": {"ViT-ResNAS-Tiny": _TINY},
    "vit_resnas:small": {"ViT-ResNAS-Small": _SMALL, "ViT-ResNAS-Medium": _MEDIUM},
}


def reference() -> Plan:
    """ViT-Res-Tiny, the hand-made network whose enlargement the Tiny space is; it has heads of
    another size, so it is no part of it.
    """
    widths, heads = (192, 384, 768), (3, 6, 12)
    return Plan(
        image_size=224,
        stem=StemShape(in_channels=3, middle=24, stride=2, patch=7, width=192, grid=16),
        stages=tuple(
            tuple(
                BlockShape(index=i, width=width, heads=count, head_width=64, hidden=4 * width)
                for i in range(4)
            )
            for width, count in zip(widths, heads, strict=True)
        ),
        lengths=(4, 4, 4),
        reductions=(
            ReductionShape(in_width=192, out_width=384, grid=8),
            ReductionShape(in_width=384, out_width=768, grid=4),
        ),
        num_classes=1000,
    )
