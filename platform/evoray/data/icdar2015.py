"""ICDAR 2015, challenge 4: words in photos taken in passing, as quadrilaterals, many of them "don't
care" (Karatzas et al. 2015), in the layout of its own archives.
"""

from __future__ import annotations

from pathlib import Path

from evoray.data.parts.text.folders import TextFolders, published

_PLACES = {
    "train": (
        ("ch4_training_images", "train_images"),
        (
            "ch4_training_localization_transcription_gt",
            "ch4_training_localization_transcription_gt.zip",
            "train_gts",
        ),
    ),
    "test": (
        ("ch4_test_images", "test_images"),
        (
            "Challenge4_Test_Task1_GT",
            "Challenge4_Test_Task1_GT.zip",
            "Challenge4_Test_Task4_GT",
            "Challenge4_Test_Task4_GT.zip",
            "test_gts",
        ),
    ),
}


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> TextFolders:
    """ICDAR 2015 from `root` or EVORAY_DATA; a tenth of its training images is "val".

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It should be downloaded.
    """
    return published(
        "icdar2015",
        root,
        ("icdar2015", "ICDAR2015", "icdar15"),
        _PLACES,
        image_size=image_size,
        limit=limit,
        download=download,
    )
