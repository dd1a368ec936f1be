"""The CIFAR-10 ResNets of He et al. 2016 as feature extractors: trained weights whose scores are
known (see the data's README).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from objectives.inception.extractors import Features, digest_of

MEAN, STD = (
    torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
)


class Block(nn.Module):
    """Two 3x3 convolutions; a shortcut without parameters."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = (
            nn.Conv2d(before, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.stride, self.pad = stride, (width - before) // 2

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(
            y + F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.pad, self.pad))
        )


class ResNet(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        n = (depth - 2) // 6
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.layer1 = nn.Sequential(*(Block(16, 16, 1) for _ in range(n)))
        self.layer2 = nn.Sequential(Block(16, 32, 2), *(Block(32, 32, 1) for _ in range(n - 1)))
        self.layer3 = nn.Sequential(Block(32, 64, 2), *(Block(64, 64, 1) for _ in range(n - 1)))
        self.linear = nn.Linear(64, 10)

    def features(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(torch.relu(self.bn1(self.conv1(x))))))
        return x.mean((2, 3))


class ResNetExtractor:
    """An `Extractor` on a file of trained weights."""

    num_features, num_classes = 64, 10

    def __init__(self, path: Path, depth: int) -> None:
        self.label, self.digest = f"cifar10-resnet{depth}", digest_of(path)
        stored = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
        self._network = ResNet(depth)
        self._network.load_state_dict(
            {name.removeprefix("module."): t for name, t in stored.items()}
        )
        self._network.eval()

    def open(self, device: torch.device) -> None:
        """The weights are there."""

    def extract(self, pixels_bchw: Tensor) -> Features:
        with torch.inference_mode():
            features = self._network.features((pixels_bchw.float() / 255 - MEAN) / STD)
            return Features(features, self._network.linear(features))
