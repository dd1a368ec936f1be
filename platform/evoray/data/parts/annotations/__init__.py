"""Forms that annotations of text come in, one file each; this folder is their registry.

A module offers `read(members)`, which returns the regions of each image, and `fits(members)`, which
tells its form from the others. Files come from a folder, a zip archive, or stand alone.
"""

from __future__ import annotations

from pathlib import Path

from evoray.data.parts.annotations.parts.members import members
from objectives.parts.text.regions import ImageRegions
from searchspaces.plugins.registry import Registry

REGISTRY = Registry("evoray.data.parts.annotations", "form of annotations", offers="read")


def names() -> list[str]:
    """The forms that exist, sorted."""
    return REGISTRY.names()


def read_annotations(path: Path, form: str = "") -> list[ImageRegions]:
    """The annotated regions of every image of a set.

    Args:
        path: A folder, a zip archive or a file.
        form: One of `names()`; where it is "", the form is recognised.

    Raises:
        FileNotFoundError: There is nothing at `path`.
        ValueError: There is no such form, it cannot be recognised, or a file is not in it; names
            file and line.
    """
    if form:
        REGISTRY.check(form)
    files = members(path)
    if not form:
        fitting = [name for name in names() if REGISTRY.module(name).fits(files)]
        if len(fitting) != 1:
            raise ValueError(
                f"{path}: {'several forms of annotations fit' if fitting else 'no form fits'}, "
                f"name one: {', '.join(fitting or names())}"
            )
        form = fitting[0]
    found: list[ImageRegions] = REGISTRY.module(form).read(files)
    return found
