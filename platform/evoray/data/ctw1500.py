"""SCUT-CTW1500: lines of text in photos, most images with curved ones (Liu et al. 2019), in the
layouts of both its releases; for academic research only, as its authors say.
"""

from __future__ import annotations

from pathlib import Path

from evoray.data.parts.text.folders import TextFolders, published

_PLACES = {
    "train": (
        ("train_images", "train/text_image"),
        ("ctw1500_train_labels", "ctw1500_train_labels.zip", "train/text_label_curve"),
    ),
    "test": (
        ("test_images", "test/text_image"),
        ("gt_ctw1500", "gt_ctw1500.zip", "test/text_label_circum", "test/text_label_curve"),
    ),
}


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> TextFolders:
    """CTW1500 from `root` or EVORAY_DATA; a tenth of its training images is "val".

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It should be downloaded.
    """
    return published(
        "ctw1500",
        root,
        ("ctw1500", "CTW1500", "SCUT-CTW1500"),
        _PLACES,
        image_size=image_size,
        limit=limit,
        download=download,
    )
