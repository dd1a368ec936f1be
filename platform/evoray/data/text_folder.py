"""Anyone's own images with text: DIR/images/ and DIR/annotations.json, or the same in DIR/train,
DIR/val and DIR/test (docs/data.md says what may stand in annotations.json).
"""

from __future__ import annotations

from pathlib import Path

from evoray.data.parts.class_folders import NAMES
from evoray.data.parts.text.folders import Part, TextFolders, part_of

_IMAGES, _ANNOTATIONS = "images", ("annotations.json", "annotations", "annotations.zip")
_HELD_OUT = 0.15  # for val, and for test, where the folder has none


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> TextFolders:
    """The images below `root`; 15 % of those without a part of their own become "val" and "test".

    Raises:
        FileNotFoundError: The folder, its images or their annotations are not there.
        ValueError: It should be downloaded.
    """
    expected = "DIR/images/*.jpg and DIR/annotations.json"
    if download:
        raise ValueError(
            "data source 'text_folder' reads a folder, nothing is fetched: leave out "
            "--data.download"
        )
    if root is None or not root.is_dir():
        about = f"data folder {root} does not exist" if root else "it needs a folder"
        raise FileNotFoundError(f"data source 'text_folder': {about}; give --data.root {expected}")
    parts = _parts(root)
    if "train" not in parts:
        raise FileNotFoundError(
            f"{root} holds no images with annotations: expected {expected}, or both in DIR/train"
        )
    return TextFolders(
        name="text_folder",
        folder=root,
        parts=tuple(parts.items()),
        held_out=_HELD_OUT,
        image_size=image_size or 640,
        limit=limit,
    )


def _parts(root: Path) -> dict[str, Part]:
    whole = part_of(root, [_IMAGES], _ANNOTATIONS)
    if whole:
        return {"train": whole}
    found = {
        split: part_of(
            root,
            [f"{name}/{_IMAGES}" for name in names],
            [f"{name}/{place}" for name in names for place in _ANNOTATIONS],
        )
        for split, names in NAMES.items()
    }
    return {split: part for split, part in found.items() if part}
