"""Networks and levels that ElasticViT's authors released, by the name of the space: options by gene
name.

Tang et al. 2023, arXiv:2303.09730; the configuration files of its released code. The accuracies
that the paper gives belong to the released weights and are not repeated here.
"""

from __future__ import annotations

from collections.abc import Mapping

from searchspaces.base import Option

Row = tuple[int, ...]


def _options(
    resolution: int, widths: Row, depths: Row, kernels: Row, expands: Row, mlps: Row, values: Row
) -> dict[str, Option]:
    """`widths` and `depths` from the stem to the last stage; `kernels` of stem and conv stages, the
    others of their stages alone.
    """
    found: dict[str, Option] = {
        "resolution": resolution,
        "stem.width": widths[0],
        "stem.depth": depths[0],
        "stem.kernel": kernels[0],
    }
    for stage in range(1, len(widths)):
        found |= {f"stage{stage}.width": widths[stage], f"stage{stage}.depth": depths[stage]}
    for stage, (kernel, expand) in enumerate(zip(kernels[1:], expands, strict=True), start=1):
        found |= {f"stage{stage}.kernel": kernel, f"stage{stage}.expand": expand}
    for stage, (mlp, value) in enumerate(zip(mlps, values, strict=True), start=len(expands) + 1):
        found |= {f"stage{stage}.mlp": mlp, f"stage{stage}.value": value}
    return found


_K3, _K5, _E3, _V2 = (3, 3, 3), (5, 5, 5), (3, 3), (2, 2, 2, 2)

_MODELS = {
    "T1": _options(
        128, (16, 24, 32, 64, 96, 176, 272), (1, 2, 3, 1, 1, 1, 1), _K3, _E3, (2, 2, 3, 4), _V2
    ),
    "T2": _options(
        160, (16, 24, 40, 48, 96, 176, 256), (1, 2, 3, 1, 1, 2, 2), _K3, _E3, (3, 4, 3, 2), _V2
    ),
    "S1": _options(
        192, (16, 24, 40, 64, 96, 192, 272), (1, 3, 3, 2, 2, 2, 2), _K3, _E3, (2, 2, 3, 4), _V2
    ),
    "S2": _options(
        224, (16, 24, 48, 64, 96, 192, 256), (1, 3, 3, 2, 2, 2, 2), _K3, _E3, (2, 2, 2, 4), _V2
    ),
    "M": _options(
        224,
        (16, 32, 48, 64, 96, 192, 288),
        (1, 3, 5, 2, 2, 2, 2),
        (5, 3, 3),
        _E3,
        (2, 4, 4, 5),
        _V2,
    ),
    "L1": _options(
        256, (16, 24, 40, 64, 96, 192, 320), (1, 3, 3, 2, 2, 2, 2), _K5, (3, 6), (4, 3, 4, 4), _V2
    ),
    "L1.5": _options(
        256,
        (16, 24, 48, 64, 96, 256, 320),
        (2, 4, 4, 2, 2, 2, 2),
        (3, 3, 5),
        (3, 4),
        (4, 5, 3, 5),
        _V2,
    ),
    "L2": _options(
        256,
        (16, 24, 40, 80, 128, 256, 304),
        (1, 3, 4, 2, 2, 2, 2),
        _K3,
        (6, 6),
        (3, 2, 3, 5),
        (2, 2, 2, 3),
    ),
    "L3": _options(
        256,
        (16, 32, 48, 80, 128, 256, 320),
        (1, 3, 4, 2, 2, 2, 2),
        (5, 3, 5),
        (5, 5),
        (4, 4, 3, 5),
        _V2,
    ),
}

# The floors of the levels, which the paper calls hierarchical smallest subnets.
_FLOORS = {
    "smallest subnet 1": _options(
        128, (16, 16, 16, 48, 80, 144, 160), (1, 2, 2, 1, 1, 1, 1), _K3, _E3, (2, 2, 2, 2), _V2
    ),
    "smallest subnet 2": _options(
        176, (16, 24, 32, 48, 96, 176, 224), (1, 3, 3, 2, 2, 2, 2), _K3, _E3, (2, 3, 2, 2), _V2
    ),
    "smallest subnet 3": _options(
        224, (16, 24, 32, 64, 96, 192, 256), (1, 3, 3, 2, 2, 2, 2), _K3, _E3, (2, 2, 2, 2), _V2
    ),
}

PUBLISHED: Mapping[str, Mapping[str, Mapping[str, Option]]] = {
    "elasticvit": {
        **{f"ElasticViT-{name}": options for name, options in _MODELS.items()},
        **_FLOORS,
    }
}

# Where each level starts, in multiply-accumulates as released, and whose floor it has.
LEVELS: Mapping[str, Mapping[float, str]] = {
    "elasticvit": {
        100e6: "smallest subnet 1",
        200e6: "smallest subnet 1",
        300e6: "smallest subnet 2",
        400e6: "smallest subnet 2",
        500e6: "smallest subnet 3",
        700e6: "smallest subnet 3",
        900e6: "smallest subnet 3",
        1200e6: "smallest subnet 3",
    }
}
LEVEL_SPAN = (
    20e6  # a subnet belongs to a level when its MACs lie at most so far above where it starts
)
