"""NASK-style detectors on generated text: the second look beside one look, attention, RoI operators
and points; one JSON line a piece.

    evoray bench nask [--pieces looks attention operators overfit] [--seeds 0 1 2] [--steps 400]
                      [--data text:curved] [--log FILE] [--images DIR]

Every network is trained alone by one recipe, and paired by seed: same images, same order, same
number of steps; it differs in the one thing named. "looks": one network, and what its maps alone
give: rectangles, and contours of the grown kernel as one-stage detectors have them; their growth is
tuned on val, as are the second look's thresholds, and all are reported on test. "attention" and
"operators" train other networks of the same widths, beside that of "looks", which has no attention
and samples rectangles as they are (Text RoI Pooling, and GA-0 with one sample). "overfit" trains on
the images of DIR (a folder of `--data text_folder`) and is measured on them. One process of one
thread.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

import searchspaces
from evoray import data
from evoray.training.loop import fresh_network, train_network
from evoray.training.recipe.calibration import Calibration
from evoray.training.recipe.text_augmentation import TextAugmentation
from jobs import nask
from objectives.detection.evaluation import summary
from objectives.detection.ground_truth import GroundTruth
from objectives.detection.objective import Look, detections, look_twice
from objectives.parts.text.decoding.detections import (
    Original,
    contour_detections,
    rectangle_detections,
)
from objectives.parts.text.decoding.proposals import MAP_STRIDE, components
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import Detection, ImageRegions, TextRegion
from searchspaces.base import Architecture, SearchSpace, architectures

_RECIPE = nask.small().train
_UNCLIPS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5)
_KERNELS = (0.3, 0.5)
_CENTRES = (0.2, 0.3, 0.4, 0.5)
_SCORES = (0.3, 0.4, 0.5, 0.6, 0.7)
_POINTS = (3, 4, 5, 7, 8, 10)
_WIDTHS = {
    "resolution": 256,
    "stem.width": 16,
    "stage1.width": 16,
    "stage2.width": 32,
    "stage3.width": 64,
    "stage4.width": 128,
    "pyramid.width": 32,
    "fox.width": 24,
    "fox.depth": 4,
    "fox.convolution": "plain",
    "gsca.placement": "none",
}
_LARGE = 1024  # pixels of the images to overfit, whose texts are small
_NARROW = {"resolution": _LARGE, "pyramid.width": 24, "fox.width": 24, "fox.convolution": "plain"}
_ATTENTION = {
    "dot": {"gsca.placement": "stride8", "gsca.kernel": "dot", "gsca.groups": 4},
    "taylor2": {"gsca.placement": "stride8", "gsca.kernel": "taylor2", "gsca.groups": 4},
}
_OPERATORS = ("ga1", "ga2")


@dataclass(frozen=True, eq=False)
class Seen:
    """A network's looks at a split.

    Attributes:
        names: Names of the images.
        regions: Annotated regions of each image.
        looks: Both looks at each image.
        kernels: (h, w) kernel probabilities of each.
        originals: The images.
    """

    names: Sequence[str]
    regions: Sequence[tuple[TextRegion, ...]]
    looks: Sequence[Look]
    kernels: Sequence[Any]
    originals: Sequence[Original]


def network_of(space: SearchSpace, wanted: Mapping[str, Any]) -> Architecture:
    """The network with these options, the first one of every gene not named."""
    row = [
        gene.options.index(wanted[gene.name]) if gene.name in wanted else 0 for gene in space.genes
    ]
    return architectures(space, space.repair(np.array([row], dtype=np.int16)))[0]


def trained(
    space: SearchSpace,
    architecture: Architecture,
    source: Any,
    seed: int,
    steps: int,
    *,
    batch: int = _RECIPE.batch_size,
    augmentation: TextAugmentation | None = None,
) -> Any:
    """A network trained alone for so many steps, its batch norm recalibrated."""
    per_epoch = max(1, source.size // batch)
    recipe = dataclasses.replace(
        _RECIPE, epochs=steps / per_epoch, warmup_epochs=10 / per_epoch, batch_size=batch
    )
    task: Any = nask.small().task_of(source)
    if augmentation is not None:
        task = dataclasses.replace(task, augmentation=augmentation)
    network = fresh_network(space, architecture, seed)
    train_network(network, dataclasses.replace(task, recipe=recipe), recipe, seed=seed)
    Calibration(source=source, num_images=128, batch_size=32, seed=seed)(
        network, torch.device("cpu")
    )
    return network.eval()


def seen(network: Any, source: Any, split: str, limit: int) -> Seen:
    """Both looks at the first images of a split."""
    opened, settings = source.open(split), DecodingSettings()
    indices = list(range(min(limit, len(opened))))
    looks: list[Look] = []
    kernels: list[Any] = []
    factor = 1.0
    with torch.inference_mode():
        for start in range(0, len(indices), 16):
            images = opened.images(indices[start : start + 16])
            maps, features = network(images)
            factor = MAP_STRIDE * maps.shape[-1] / images.shape[-1]
            looks += look_twice(network, maps, features, settings)
            kernels += list(torch.sigmoid(maps[:, 1]).numpy())
    originals = []
    for i in indices:
        _, height, width = opened.pixels(i).shape
        originals.append(Original(width, height, opened.scale(i) * factor))
    names = [opened.name(i) for i in indices]
    return Seen(names, [opened.regions(i) for i in indices], looks, kernels, originals)


def decoded(of: Seen, way: str, settings: DecodingSettings) -> dict[str, tuple[Detection, ...]]:
    """Detections by one of the three ways."""
    found = {}
    for name, look, kernel, original in zip(
        of.names, of.looks, of.kernels, of.originals, strict=True
    ):
        if way == "two looks":
            found[name] = detections(look, original, settings)
            continue
        first = components(kernel, settings)
        if way == "rectangles":
            found[name] = rectangle_detections(first, original, settings)
        else:
            found[name] = contour_detections(first, kernel, original, settings)
    return found


def scores(of: Seen, way: str, settings: DecodingSettings) -> dict[str, float]:
    """F-measures in percent."""
    truth = GroundTruth.of([ImageRegions(*pair) for pair in zip(of.names, of.regions, strict=True)])
    found = summary(truth, decoded(of, way, settings))
    return {
        name: 100.0 * getattr(found, name) for name in ("f50", "f70", "f_mean", "recall", "tiou")
    }


def tuned(val: Seen, way: str) -> DecodingSettings:
    """The settings with the best mean F-measure on val."""
    if way == "two looks":  # where it looks is not tuned: its RoIs are those of the defaults
        tried = [
            DecodingSettings(centre_line_threshold=centre, score_threshold=score)
            for centre in _CENTRES
            for score in _SCORES
        ]
    else:
        tried = [
            DecodingSettings(kernel_threshold=kernel, unclip=unclip, score_threshold=0.5)
            for kernel in _KERNELS
            for unclip in _UNCLIPS
        ]
    return max(tried, key=lambda settings: scores(val, way, settings)["f_mean"])


def by_length(of: Seen, settings: DecodingSettings) -> dict[str, float]:
    """Recall at IoU 0.5 of texts longer than a third of the image, and of the others."""
    found = decoded(of, "two looks", settings)
    shares = {}
    for kind in ("long", "short"):
        images = []
        for name, regions, original in zip(of.names, of.regions, of.originals, strict=True):
            limit = max(original.width, original.height) / 3
            kept = [
                dataclasses.replace(
                    one,
                    ignored=one.ignored
                    or (max(np.ptp(one.polygon, axis=0)) > limit) != (kind == "long"),
                )
                for one in regions
            ]
            images.append(ImageRegions(name, tuple(kept)))
        shares[f"recall {kind}"] = 100.0 * summary(GroundTruth.of(images), found).recall
    return shares


def looks(source: Any, seed: int, steps: int, images: int) -> Iterator[dict[str, Any]]:
    space = searchspaces.load("nask_v1:small")
    architecture = network_of(space, _WIDTHS)
    start = time.process_time()
    network = trained(space, architecture, source, seed, steps)
    seconds = time.process_time() - start
    val, test = (seen(network, source, split, images) for split in ("val", "test"))
    for way in ("two looks", "rectangles", "contours"):
        settings = tuned(val, way)
        yield {
            "way": way,
            "train CPU seconds": seconds,
            "settings": {
                name: getattr(settings, name)
                for name in ("kernel_threshold", "unclip", "score_threshold")
            }
            | {"centre_line_threshold": settings.centre_line_threshold},
            **scores(test, way, settings),
            **(by_length(test, settings) if way == "two looks" else {}),
        }
    settings = tuned(val, "two looks")
    for points in _POINTS:
        changed = dataclasses.replace(settings, fiducial_points=points)
        yield {"way": f"{points} points", **scores(test, "two looks", changed)}


def attention(source: Any, seed: int, steps: int, images: int) -> Iterator[dict[str, Any]]:
    space = searchspaces.load("nask_v1:small")
    for name, genes in _ATTENTION.items():
        yield _alone(space, {**_WIDTHS, **genes}, name, source, seed, steps, images)


def operators(source: Any, seed: int, steps: int, images: int) -> Iterator[dict[str, Any]]:
    space = searchspaces.load("nask_v2:small")
    for name in _OPERATORS:
        genes = {**_WIDTHS, "roi.operator": name, "roi.samples": 1, "roi.encoder": 0}
        yield _alone(space, genes, name, source, seed, steps, images)


def _alone(
    space: SearchSpace,
    genes: Mapping[str, Any],
    name: str,
    source: Any,
    seed: int,
    steps: int,
    images: int,
) -> dict[str, Any]:
    architecture = network_of(space, genes)
    network = trained(space, architecture, source, seed, steps)
    val, test = (seen(network, source, split, images) for split in ("val", "test"))
    settings = tuned(val, "two looks")
    costs = space.costs(np.array([architecture.choices], dtype=np.int16))
    return {
        "way": name,
        "macs": float(costs["macs"][0]),
        **scores(test, "two looks", settings),
        **by_length(test, settings),
    }


def overfit(folder: Path, seed: int, steps: int) -> Iterator[dict[str, Any]]:
    """Trains on all images of a folder and measures on them."""
    source: Any = _Whole(data.load("text_folder", root=folder, image_size=_LARGE))
    space: Any = dataclasses.replace(
        cast(Any, searchspaces.load("nask_v1:small")), resolutions=(_LARGE,)
    )
    still = TextAugmentation(scale=(1.0, 1.0), degrees=0.0, colour=0.0)
    start = time.monotonic()
    network = trained(
        space, network_of(space, _NARROW), source, seed, steps, batch=4, augmentation=still
    )
    of = seen(network, source, "train", 1000)
    settings = tuned(of, "two looks")
    yield {
        "way": "overfit",
        "seconds": time.monotonic() - start,
        **scores(of, "two looks", settings),
    }


class _Whole:
    """A source whose every split is all of its images."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    @property
    def size(self) -> int:
        return len(self.open("train"))

    def open(self, split: str) -> Any:
        return _All([self._inner.open(part) for part in ("train", "val", "test")])


class _All:
    """Several opened splits as one."""

    def __init__(self, parts: Sequence[Any]) -> None:
        self._at = [(part, i) for part in parts for i in range(len(part))]

    def __len__(self) -> int:
        return len(self._at)

    def images(self, indices: Any) -> torch.Tensor:
        places = [self._at[int(i)] for i in indices]
        return torch.cat([part.images([i]) for part, i in places])

    def name(self, index: int) -> str:
        return str(index)

    def pixels(self, index: int) -> Any:
        part, i = self._at[index]
        return part.pixels(i)

    def regions(self, index: int) -> Any:
        part, i = self._at[index]
        return part.regions(i)

    def scale(self, index: int) -> Any:
        part, i = self._at[index]
        return part.scale(i)


_PIECES = {"looks": looks, "attention": attention, "operators": operators}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="evoray bench nask",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--pieces", nargs="+", choices=[*_PIECES, "overfit"], default=[*_PIECES])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--data", default="text")
    parser.add_argument("--train-images", type=int, default=1500)
    parser.add_argument("--test-images", type=int, default=120, help="of val and of test")
    parser.add_argument("--images", type=Path, help="folder of images to overfit")
    parser.add_argument("--log", type=Path, help="each result, as soon as it is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = data.load(options.data, image_size=256, limit=options.train_images)
    for piece in options.pieces:
        for seed in options.seeds:
            results = (
                overfit(options.images, seed, options.steps)
                if piece == "overfit"
                else _PIECES[piece](source, seed, options.steps, options.test_images)
            )
            for result in results:
                line = json.dumps({"piece": piece, "seed": seed, "steps": options.steps, **result})
                print(line, flush=True)
                if options.log:
                    with options.log.open("a", encoding="utf-8") as log:
                        log.write(line + "\n")


if __name__ == "__main__":
    main()
