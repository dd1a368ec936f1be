"""A folder of pictures of your own as data: classes are its folders. Here it is drawn first, so
that the program runs anywhere.

python examples/own_pictures.py
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

import evoray
import searchspaces
from evoray import data
from evoray.data.parts.images import ImageSource
from objectives.base import Candidate, Goal, Needs
from objectives.complexity import Cost

SHAPES = ("ellipse", "rectangle", "line")


def draw_pictures(folder: Path, count: int = 30) -> None:
    """FOLDER/SHAPE/NUMBER.png, `count` of each shape, at random places."""
    rng = np.random.default_rng(0)
    for shape in SHAPES:
        (folder / shape).mkdir(parents=True)
        for number in range(count):
            picture = Image.new("RGB", (24, 24), tuple(rng.integers(0, 90, 3)))
            left, top = rng.integers(1, 8, 2)
            right, bottom = rng.integers(15, 23, 2)
            getattr(ImageDraw.Draw(picture), shape)(
                (left, top, right, bottom), fill=tuple(rng.integers(150, 256, 3))
            )
            picture.save(folder / shape / f"{number:03}.png")


class ShapeAccuracy:
    """Accuracy on the validation split after three passes over the training split."""

    name, unit, goal, needs = "accuracy", "%", Goal.MAXIMIZE, Needs(cpus=1)

    def __init__(self, source: ImageSource) -> None:
        self._source = source

    def open(self, device: torch.device) -> None:
        train, val = self._source.open("train"), self._source.open("val")
        self._train = train.images(range(len(train.labels))), train.labels
        self._val = val.images(range(len(val.labels))), val.labels

    def measure(self, candidate: Candidate) -> float:
        network = candidate.subnet
        adam = torch.optim.Adam(network.parameters(), lr=0.01)
        order = torch.randperm(len(self._train[1]), generator=torch.Generator().manual_seed(0))
        for batch in order.repeat(3).split(21):
            logits = network(self._train[0][batch])
            adam.zero_grad()
            nn.functional.cross_entropy(logits, self._train[1][batch]).backward()
            adam.step()
        with torch.inference_mode():
            right = network(self._val[0]).argmax(dim=1) == self._val[1]
        return 100.0 * float(right.float().mean())


def main() -> None:
    """Searches networks for the pictures and prints the front."""
    with tempfile.TemporaryDirectory() as folder:
        draw_pictures(Path(folder))
        source = data.load("image_folder", root=Path(folder), image_size=16)
        digits: Any = searchspaces.load("bignas:digits")
        space = dataclasses.replace(digits, num_classes=source.num_classes, in_channels=3)
        result = evoray.search(
            space,
            [ShapeAccuracy(source), Cost(space, "macs")],
            constraints=[evoray.Constraint("macs", at_most=5e5)],
            evaluations=8,
            population=4,
        )
    print(result.front().sort_by("macs").select(["key", "accuracy", "macs"]).to_pandas())


if __name__ == "__main__":
    main()
