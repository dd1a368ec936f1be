"""F-measures of a detector that looks twice, from one look at a split: its network runs once, and
is decoded as often as decoding genes change.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from objectives.base import (
    Candidate,
    Goal,
    Measurement,
    MeasurementError,
    Needs,
    Recalibration,
    Value,
)
from objectives.detection.evaluation import summary
from objectives.detection.ground_truth import GroundTruth
from objectives.detection.kept import FILE, as_parquet
from objectives.parts.text.decoding.bands import bands
from objectives.parts.text.decoding.detections import (
    Original,
    rectangle_detections,
    two_look_detections,
)
from objectives.parts.text.decoding.proposals import (
    MAP_STRIDE,
    Components,
    as_rois,
    components,
    roi_rows,
)
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.rectangles import Rectangles
from objectives.parts.text.regions import Detection, ImageRegions
from objectives.parts.text.source import TextSource, TextSplit
from searchspaces.base import Option, SearchSpace, decoding_columns

PREFIX = "decode."  # of the genes that are fields of `DecodingSettings`
_BATCH = 16  # images in one forward pass
_CHUNK = 256  # RoIs in one forward pass
_SCORED = ("f50", "f_mean", "f70", "recall", "precision", "tiou")
_HELD_OUT = ("f50", "f_mean")

Key = tuple[tuple[str, float], ...]  # `DecodingSettings.of_rois`


@dataclass(frozen=True, eq=False)
class Look:
    """Both looks at one image, with one setting of what RoIs depend on.

    Attributes:
        found: Components of the first look.
        rois: (k, 6) rectangles that the second one sampled.
        centre_line: (k, H, W) probabilities.
        geometry: (k, 5, H, W) scale and both directions.
    """

    found: Components
    rois: Rectangles
    centre_line: NDArray[np.float32]
    geometry: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Looks:
    """A network's looks at all images.

    Attributes:
        of: By what RoIs depend on, one an image.
        originals: The images, by which polygons come back into their pixels.
    """

    of: Mapping[Key, Sequence[Look]]
    originals: Sequence[Original]


class DetectionQuality:
    """F-measure at IoU 0.5 and its mean over .5 to .9, with recall, precision and tightness, in
    percent, of one split. Deterministic on one kind of machine.

    Decoding genes are chosen on every other image; `*_held_out` are the same F-measures on the
    images between them, so that the choice does not flatter itself.

    Attributes:
        tolerance: By how much two measurements of one candidate may differ, in percent points.
    """

    name = "detection"
    tolerance = 0.0
    yields = (
        *(Value(name, "%", Goal.MAXIMIZE) for name in _SCORED),
        *(Value(f"{name}_held_out", "%", Goal.MAXIMIZE) for name in _HELD_OUT),
    )

    def __init__(
        self,
        source: TextSource,
        recalibrate: Recalibration | None,
        *,
        split: str = "val",
        limit: int | None = None,
        needs: Needs | None = None,
        settings: DecodingSettings | None = None,
        choices: Mapping[str, Sequence[Option]] | None = None,
    ) -> None:
        """`settings` are those of what no gene decides; `choices` the options of decoding genes,
        by name, for which RoIs are made in one go.
        """
        if limit is not None and limit < 2:
            raise ValueError(
                f"{self.name} needs at least 2 images, for half of them are held out, got a limit "
                f"of {limit}"
            )
        self._source = source
        self._recalibrate = recalibrate
        self._split = split
        self._limit = limit
        self._needs = needs or Needs(cpus=1.0)
        self._settings = settings or DecodingSettings()
        self._choices = dict(choices or {})
        self._opened: TextSplit | None = None
        self._indices = torch.zeros(0, dtype=torch.int64)
        self._names: list[str] = []
        self._truth: list[GroundTruth] = []
        self._device = torch.device("cpu")

    @property
    def needs(self) -> Needs:
        return self._needs

    def open(self, device: torch.device) -> None:
        """Opens the split, reads its annotations."""
        if self._opened is not None:
            return
        split = self._source.open(self._split)
        count = len(split) if self._limit is None else min(self._limit, len(split))
        chosen = torch.linspace(0, len(split) - 1, count).round().long()
        self._indices = chosen[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
        self._names = [split.name(index) for index in self._indices.tolist()]
        regions = [
            ImageRegions(name, split.regions(index))
            for name, index in zip(self._names, self._indices.tolist(), strict=True)
        ]
        self._truth = [GroundTruth.of(half) for half in (regions[0::2], regions[1::2] or regions)]
        self._device, self._opened = device, split

    def measure(self, candidate: Candidate) -> Measurement:
        """The values, and the detections as a file.

        Raises:
            MeasurementError: The network's maps are not finite.
        """
        return self.score(self.infer(candidate), candidate.decoding)

    def measure_part(self, candidate: Candidate, share: float) -> Measurement:
        """The same on the first images of a fixed random order, an even number of them.

        Raises:
            MeasurementError: Maps or geometry of the network are not finite.
        """
        count = max(2, 2 * round(share * len(self._indices) / 2))
        return self.score(self._infer(candidate, count), candidate.decoding)

    def infer(self, candidate: Candidate) -> Looks:
        """Both looks at every image, for all RoIs that a decoding gene could ask for.

        Raises:
            MeasurementError: Maps or geometry of the network are not finite.
        """
        return self._infer(candidate, len(self._indices))

    def score(self, predictions: Looks, decoding: Mapping[str, Option]) -> Measurement:
        """Decodes the looks by the genes' options and scores both halves of the images."""
        settings = settings_of(decoding, self._settings)
        looks, originals = predictions.of[settings.of_rois], predictions.originals
        images = list(zip(self._names, looks, originals, strict=False))  # a part of them, perhaps
        found = {name: detections(look, original, settings) for name, look, original in images}
        chosen_on, held_out = (self._summary(half, found) for half in (0, 1))
        values = {name: 100.0 * float(getattr(chosen_on, name)) for name in _SCORED}
        values |= {f"{name}_held_out": 100.0 * float(getattr(held_out, name)) for name in _HELD_OUT}
        kept = {
            name: (rectangle_detections(look.found, original, settings), found[name])
            for name, look, original in images
        }
        return Measurement(values, {FILE: as_parquet(kept, settings, chosen_on.truth_digest)})

    def _summary(self, half: int, found: Mapping[str, Sequence[Detection]]) -> Any:
        truth = self._truth[half]
        own = {name: found[name] for name in truth.images if name in found}
        return summary(truth if len(own) == len(truth.images) else self._part(own), own)

    def _part(self, own: Mapping[str, Sequence[Detection]]) -> list[ImageRegions]:
        assert self._opened is not None
        places = dict(zip(self._names, self._indices.tolist(), strict=True))
        return [ImageRegions(name, self._opened.regions(places[name])) for name in own]

    def _infer(self, candidate: Candidate, count: int) -> Looks:
        if self._opened is None:
            raise RuntimeError(f"{self.name} was not opened: call open(device) first")
        network = candidate.subnet.to(self._device)
        if self._recalibrate is not None:
            self._recalibrate(network, self._device)
        network.eval()
        looks: dict[Key, list[Look]] = {one.of_rois: [] for one in self._roi_settings()}
        originals = []
        with torch.inference_mode():
            for part in torch.split(self._indices[:count], _BATCH):
                images = self._opened.images(part).to(self._device)
                maps, features = network(images)
                if not torch.isfinite(maps).all():
                    raise MeasurementError(f"{candidate.architecture.key}: maps are not finite")
                factor = MAP_STRIDE * maps.shape[-2] / images.shape[-2]
                originals += [self._original(index, factor) for index in part.tolist()]
                for one in self._roi_settings():
                    looks[one.of_rois] += look_twice(network, maps, features, one)
        if not all(np.isfinite(one.geometry).all() for some in looks.values() for one in some):
            raise MeasurementError(f"{candidate.architecture.key}: geometry is not finite")
        return Looks(looks, originals)

    def _original(self, index: int, factor: float) -> Original:
        assert self._opened is not None
        height, width = self._opened.pixels(index).shape[1:]
        return Original(width, height, self._opened.scale(index) * factor)

    def _roi_settings(self) -> list[DecodingSettings]:
        """Every setting on which RoIs depend that the genes can ask for."""
        before = {name for name, _ in self._settings.of_rois}
        genes = {
            name: options
            for name, options in self._choices.items()
            if name.removeprefix(PREFIX) in before
        }
        return [
            settings_of(dict(zip(genes, options, strict=True)), self._settings)
            for options in itertools.product(*genes.values())
        ]


def look_twice(
    network: Any, maps: torch.Tensor, features: torch.Tensor, settings: DecodingSettings
) -> list[Look]:
    """Looks again at what the first look at a batch proposes.

    Args:
        network: With the method `second(features, rois)`.
        maps: (b, 2, h, w) logits.
        features: (b, f, h, w).
        settings: Settings by which RoIs are made of the maps.
    """
    kernels = torch.sigmoid(maps[:, 1].float()).cpu().numpy()
    found = [components(one, settings) for one in kernels]
    rectangles = [as_rois(one, settings) for one in found]
    rows = torch.from_numpy(roi_rows(rectangles)).to(features.device)
    parts = [network.second(features, part).float().cpu() for part in torch.split(rows, _CHUNK)]
    second = torch.cat(parts).numpy()
    lines = 1.0 / (1.0 + np.exp(-second[:, 0]))
    ends = np.cumsum([len(one) for one in rectangles])
    return [
        Look(one, own, lines[end - len(own) : end], second[end - len(own) : end, 1:])
        for one, own, end in zip(found, rectangles, ends.tolist(), strict=True)
    ]


def detections(look: Look, original: Original, settings: DecodingSettings) -> tuple[Detection, ...]:
    """The polygons that both looks at one image give."""
    second = bands(look.centre_line, look.geometry, settings.centre_line_threshold)
    return two_look_detections(look.found, look.rois, second, original, settings)


def settings_of(decoding: Mapping[str, Option], base: DecodingSettings) -> DecodingSettings:
    """The settings that decoding genes say, and `base` in what they do not say.

    Raises:
        ValueError: A gene is no field of the settings.
    """
    changes = {name.removeprefix(PREFIX): option for name, option in decoding.items()}
    unknown = sorted(changes.keys() - vars(base).keys())
    if unknown:
        raise ValueError(
            f"decoding genes must be called {PREFIX}FIELD with a field of the settings, "
            f"{', '.join(vars(base))}; got {', '.join(unknown)}"
        )
    known: dict[str, Any] = dict(changes)
    return replace(base, **known)


def build(
    source: TextSource,
    recalibrate: Recalibration | None = None,
    split: str = "val",
    limit: int | None = None,
    needs: Needs | None = None,
    space: SearchSpace | None = None,
) -> DetectionQuality:
    """F-measures on `split` of `source`, of at most `limit` of its images, for the networks of
    `space`.
    """
    genes = [] if space is None else [space.genes[column] for column in decoding_columns(space)]
    return DetectionQuality(
        source,
        recalibrate,
        split=split,
        limit=limit,
        needs=needs,
        choices={gene.name: gene.options for gene in genes},
    )
