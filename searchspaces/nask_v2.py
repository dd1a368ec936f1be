"""NASK-style text detectors with GeoAlign (Cao et al. 2021, arXiv:2106.12720); see
searchspaces/nask.

The preset "full" is for images of 512 to 1280 pixels and a GPU, "small" for 256 and a laptop.
"""

from __future__ import annotations

import dataclasses

from searchspaces import nask_v1
from searchspaces.base import nearest
from searchspaces.nask import NASK


def _second_version(preset: str) -> NASK:
    """The first version's space with GeoAlign; "ga0" without encoder is its Text RoI Pooling."""
    first = nask_v1.PRESETS[preset]
    return dataclasses.replace(
        first,
        name=first.name.replace("nask_v1", "nask_v2"),
        operators=("ga0", "ga1", "ga2"),
        samples=(1, 2),
        encoders=(0, 1, 2),
    )


PRESETS = {preset: _second_version(preset) for preset in nask_v1.PRESETS}


def build(preset: str = "full") -> NASK:
    """A space of its own, so that what one caller caches in it does not grow another's pickle.

    Raises:
        ValueError: There is no such preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"nask_v2 has no preset {preset!r}; {nearest(preset, PRESETS)}")
    return dataclasses.replace(PRESETS[preset])
