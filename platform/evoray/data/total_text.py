"""Total-Text: words in photos, straight and curved (Ch'ng and Chan 2017), in the layout of its own
archives.
"""

from __future__ import annotations

from pathlib import Path

from evoray.data.parts.text.folders import TextFolders, published


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> TextFolders:
    """Total-Text from `root` or EVORAY_DATA; a tenth of its training images is "val".

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It should be downloaded.
    """
    places = {
        split: (
            (f"Images/{name}", f"images/{name}", f"{split}_images"),
            (f"Groundtruth/Polygon/{name}", f"gt/{name}", f"txt_format/{name}", f"{split}_gts"),
        )
        for split, name in (("train", "Train"), ("test", "Test"))
    }
    return published(
        "total_text",
        root,
        ("total_text", "totaltext", "Total-Text", "TotalText"),
        places,
        image_size=image_size,
        limit=limit,
        download=download,
    )
