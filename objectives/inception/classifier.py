"""A small classifier of a data set's own images, whose last features stand in for Inception's where
that network cannot be had.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from objectives.inception.pixels import PixelSource, pixels_of

# b batch, c channels, h height, w width, d features, k classes


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A classifier.

    Attributes:
        image_shape: (channels, height, width).
        num_classes: Outputs.
        widths: Channels of its three convolutions; the last is the number of features.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    widths: tuple[int, int, int] = (32, 64, 64)

    @property
    def num_features(self) -> int:
        return self.widths[-1]


class Classifier(nn.Module):
    """Three 3x3 convolutions with batch norm, the second and third at half the side, the mean over
    positions, a linear layer.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        layers: list[nn.Module] = []
        before = shape.image_shape[0]
        for index, width in enumerate(shape.widths):
            layers += [
                nn.Conv2d(before, width, 3, stride=2 if index else 1, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            before = width
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(before, shape.num_classes)

    def features_and_logits(self, pixels_bchw: Tensor) -> tuple[Tensor, Tensor]:
        """(b, c, h, w) uint8 -> (b, d) and (b, k)."""
        if tuple(pixels_bchw.shape[1:]) != self.shape.image_shape:
            raise ValueError(
                f"this classifier takes images of shape {self.shape.image_shape}, got "
                f"{tuple(pixels_bchw.shape[1:])}; resize them"
            )
        features: Tensor = self.body(pixels_bchw.float() / 127.5 - 1.0).mean((2, 3))
        logits: Tensor = self.head(features)
        return features, logits

    def forward(self, pixels_bchw: Tensor) -> Tensor:
        """(b, c, h, w) uint8 -> (b, k) logits."""
        return self.features_and_logits(pixels_bchw)[1]

    @staticmethod
    def shape_of(metadata: Mapping[str, str]) -> Shape:
        """Reads the shape that `save` wrote into a file.

        Raises:
            ValueError: It is none of our files.
        """
        try:
            stored = json.loads(metadata["shape"])
            c, h, w = (int(n) for n in stored["image_shape"])
            first, second, third = (int(n) for n in stored["widths"])
            return Shape(
                image_shape=(c, h, w),
                num_classes=int(stored["num_classes"]),
                widths=(first, second, third),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the file describes no classifier ({error}): train it anew") from None


def train(
    source: PixelSource,
    *,
    epochs: int = 30,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    device: torch.device | None = None,
) -> Classifier:
    """A classifier of `source`'s training images, on the CPU in eval mode; seconds for digits.
    Draws from torch's generators, seeded here.
    """
    if epochs < 1 or batch_size < 2:
        raise ValueError(
            f"training needs at least 1 epoch and batches of 2, got {epochs} and {batch_size}"
        )
    pixels, labels = pixels_of(source, source.open("train"))
    device = device or torch.device("cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Classifier(
            Shape(image_shape=source.image_shape, num_classes=source.num_classes)
        ).to(device)
        optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=1e-2)
        steps = epochs * max(1, len(labels) // batch_size)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
        step = 0
        while step < steps:
            for chosen in torch.split(torch.randperm(len(labels)), batch_size):
                if step == steps or len(chosen) < min(batch_size, len(labels)):
                    break
                optimizer.zero_grad(set_to_none=True)
                F.cross_entropy(
                    network(pixels[chosen].to(device)), labels[chosen].to(device)
                ).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                step += 1
    return network.cpu().eval()


def accuracy(network: Classifier, source: PixelSource, split: str = "test") -> float:
    """Percent of the split's images that it names rightly."""
    pixels, labels = pixels_of(source, source.open(split))
    with torch.inference_mode():
        right = [
            int((network(p).argmax(1) == y).sum())
            for p, y in zip(torch.split(pixels, 500), torch.split(labels, 500), strict=True)
        ]
    return 100.0 * sum(right) / len(labels)


def write(network: Classifier, name: str, folder: Path) -> Path:
    """Writes FOLDER/NAME-DIGEST.safetensors, the digest's first 16 hex digits in the name, and
    returns the path.
    """
    content = save(
        {n: t.contiguous() for n, t in network.state_dict().items()},
        metadata={"shape": json.dumps(asdict(network.shape))},
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{sha256(content).hexdigest()[:16]}.safetensors"
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    with temporary.open("xb") as stream:
        stream.write(content)
    temporary.replace(path)
    return path
