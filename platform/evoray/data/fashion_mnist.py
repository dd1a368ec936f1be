"""Fashion-MNIST (Xiao et al. 2017): 70,000 grey images of clothes, 28 x 28 scaled to 32 x 32, 10
classes, through torchvision.
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
    """Fashion-MNIST in torchvision's layout.

    Raises:
        FileNotFoundError: It is not there.
    """
    source = TorchvisionSource(
        folder=root_of(root),
        dataset="FashionMNIST",
        name="fashion_mnist",
        num_classes=10,
        channels=1,
        image_size=image_size or 32,
        mean=(0.286,),
        std=(0.353,),
        limit=limit,
    )
    return check_present(source, download)
