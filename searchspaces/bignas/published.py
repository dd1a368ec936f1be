"""Networks that the paper's table fixes, by the name of the space: options by gene name.

The paper gives accuracies and sizes of its models S, M, L and XL (arXiv:2003.11142) but not their
architectures, so they are not here. What is here are the two ends of its table, which every
training step runs, and the child with the widths, depths and kernels of EfficientNet-B0
(arXiv:1905.11946), after which the table is modelled.
"""

from __future__ import annotations

from collections.abc import Mapping

from searchspaces.base import Option

_STAGES_MIN = {
    "width": (16, 24, 40, 80, 112, 192, 320),
    "depth": (1, 2, 2, 2, 2, 2, 1),
    "kernel": (3, 3, 3, 3, 3, 3, 3),
}
_STAGES_MAX = {
    "width": (24, 32, 48, 88, 128, 216, 352),
    "depth": (2, 3, 3, 4, 6, 6, 2),
    "kernel": (3, 3, 5, 5, 5, 5, 5),
}
_STAGES_B0 = {
    "width": (16, 24, 40, 80, 112, 192, 320),
    "depth": (1, 2, 2, 3, 3, 4, 1),
    "kernel": (3, 3, 5, 3, 5, 5, 3),
}


def _options(
    resolution: int, stem: int, last: int, stages: Mapping[str, tuple[int, ...]]
) -> dict[str, Option]:
    rows = {
        f"stage{index}.{what}": value
        for what, values in stages.items()
        for index, value in enumerate(values, start=1)
    }
    fixed = {"stage1.kernel", "stage2.kernel"}  # one option only, so no gene
    return {
        "resolution": resolution,
        "stem.width": stem,
        "last.width": last,
        **{n: v for n, v in rows.items() if n not in fixed},
    }


PUBLISHED: Mapping[str, Mapping[str, Mapping[str, Option]]] = {
    "bignas": {
        "smallest of the table": _options(192, 32, 1280, _STAGES_MIN),
        "largest of the table": _options(320, 40, 1408, _STAGES_MAX),
        "shape of EfficientNet-B0": _options(224, 32, 1280, _STAGES_B0),
    }
}
