"""Data sources: one file each; this folder is the registry.

A source is a small picklable object (`objectives.base.DataSource`); the worker that needs images
opens a split of it. `load("text")` calls the `build` of text.py, `load("text:hard")` gives it
`preset="hard"`; a module that has presets lists them as PRESETS, its default first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from evoray.data.parts.images import ImageSource
from searchspaces.plugins.registry import Registry

REGISTRY = Registry("evoray.data", "data source")


def names() -> list[str]:
    """The sources that exist, sorted."""
    return REGISTRY.names()


def presets(name: str) -> list[str]:
    """The presets of one source, its default first; none where its module has no PRESETS.

    Raises:
        ValueError: There is no such source, or its module cannot be loaded.
    """
    return list(getattr(REGISTRY.module(name), "PRESETS", ()))


def load(
    name: str,
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> ImageSource:
    """The source called `name`, checked but not read.

    Args:
        name: One of `names()`, or NAME:PRESET of one that has `presets`.
        root: Folder of the data; None for EVORAY_DATA or the source's own place.
        image_size: Side in pixels that images are brought to; None for the source's own.
        limit: At most so many training images, the same share of each class.
        download: Downloads the data where it is missing.

    Raises:
        ValueError: There is no such source or preset, or an impossible size or limit.
        FileNotFoundError: The data is not there.
    """
    source, _, preset = name.partition(":")
    REGISTRY.check(source)
    if image_size is not None and not 8 <= image_size <= 1024:
        raise ValueError(f"data.image-size must be between 8 and 1024 pixels, got {image_size}")
    if limit is not None and limit < 1:
        raise ValueError(f"data.limit must be at least 1 image, got {limit}")
    chosen: dict[str, Any] = {}  # Any: each option of `build` has its own type
    if ":" in name:
        known = presets(source)
        if preset not in known:
            raise ValueError(f"data source {source!r} has no preset {preset!r}; {_among(known)}")
        chosen["preset"] = preset
    return cast(
        ImageSource,
        REGISTRY.module(source).build(
            root=root and root.absolute(),
            image_size=image_size,
            limit=limit,
            download=download,
            **chosen,
        ),
    )


def _among(known: list[str]) -> str:
    return f"there is {', '.join(known)}" if known else "it has none"
