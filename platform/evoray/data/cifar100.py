"""CIFAR-100 (Krizhevsky 2009): 60,000 colour images of 32 x 32, 100 classes, through
torchvision.
"""

from __future__ import annotations

from pathlib import Path

from evoray.data.parts.torchvision_sets import TorchvisionSource, check_present, root_of


def build(
    *,
    root: Path | None = None,
    image_size: int | None = None,
    limit: int | None = None,
    download: bool = False,
) -> TorchvisionSource:
    """CIFAR-100 in torchvision's layout.

    Raises:
        FileNotFoundError: It is not there.
    """
    source = TorchvisionSource(
        folder=root_of(root),
        dataset="CIFAR100",
        name="cifar100",
        num_classes=100,
        channels=3,
        image_size=image_size or 32,
        mean=(0.5071, 0.4865, 0.4409),
        std=(0.2673, 0.2564, 0.2762),
        limit=limit,
    )
    return check_present(source, download)
