"""Text regions for tests: made up, and read from the real sample; and labels taken for outputs."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence

import numpy as np
import shapely
import torch
from numpy.typing import NDArray

from evoray.training.tasks.parts.text_labels import batch_labels
from evoray.training.tasks.parts.text_rois import roi_labels
from objectives.parts.text.decoding.bands import bands
from objectives.parts.text.decoding.detections import Original, two_look_detections
from objectives.parts.text.decoding.proposals import as_rois, components, roi_rows
from objectives.parts.text.decoding.settings import DecodingSettings
from objectives.parts.text.regions import Detection, TextRegion
from tests.shared_data import real_data

Array = NDArray[np.float64]


def arc(
    centre: tuple[float, float] = (100.0, 120.0),
    radius: float = 60.0,
    height: float = 20.0,
    degrees: tuple[float, float] = (200.0, 340.0),
    points: int = 9,
) -> Array:
    """(2 * points, 2) outline of text along an arc, its upper side outside."""
    angle = np.deg2rad(np.linspace(*degrees, points))
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    outer, inner = radius + height / 2, radius - height / 2
    return np.concatenate([centre + outer * ray, (centre + inner * ray)[::-1]])


def box(x: float, y: float, w: float, h: float, degrees: float = 0.0) -> Array:
    """(4, 2) outline of a straight text around (x, y)."""
    a = np.deg2rad(degrees)
    u, v = np.array([np.cos(a), np.sin(a)]) * w / 2, np.array([-np.sin(a), np.cos(a)]) * h / 2
    return np.array([x, y]) + np.stack([-u - v, u - v, u + v, -u + v])


def ious(some: Sequence[Array], others: Sequence[Array]) -> Array:
    """(n,) intersection over union of polygons, pair by pair."""
    a, b = (
        shapely.make_valid(np.array([shapely.polygons(ring) for ring in rings], dtype=object))
        for rings in (some, others)
    )
    shared = shapely.area(shapely.intersection(a, b))
    return np.asarray(shared / (shapely.area(a) + shapely.area(b) - shared))


def real_outlines(name: str) -> list[Array]:
    """The outlines of all regions of a real test set that count: "ctw1500" or "totaltext"."""
    folder = real_data("text_sample") / "eval_fixtures"
    files = {
        "ctw1500": folder / "research_only" / "ctw1500_test_gt.zip",
        "totaltext": folder / "totaltext_test_gt.zip",
    }
    found = []
    with zipfile.ZipFile(files[name]) as archive:
        for member in sorted(archive.namelist()):
            for line in archive.read(member).decode("utf-8-sig").splitlines():
                numbers, text = _numbers_and_text(line)
                if len(numbers) >= 6 and text != "###":
                    found.append(np.array(numbers).reshape(-1, 2))
    return found


def _numbers_and_text(line: str) -> tuple[list[float], str]:
    fields = line.split(",")
    count = 0
    while count < len(fields) and fields[count].strip().lstrip("-").isdigit():
        count += 1
    count -= count % 2
    return [float(field) for field in fields[:count]], ",".join(fields[count:])


def curved_images() -> dict[str, tuple[tuple[int, int], list[TextRegion]]]:
    """Width, height and regions of the sample's two images of curved text, by name."""
    text = (real_data("text_sample") / "annotations.json").read_text(encoding="utf-8")
    return {
        image["image"]: (
            (image["width"], image["height"]),
            [
                TextRegion(np.array(one["polygon"], dtype=float), one["text"], one["ignore"])
                for one in image["instances"]
            ],
        )
        for image in json.loads(text)["images"]
        if "curved" in image["image"]
    }


def detections_from_labels(
    regions: Sequence[TextRegion],
    width: int,
    height: int,
    *,
    roi_size: tuple[int, int] = (32, 128),
    settings: DecodingSettings | None = None,
) -> tuple[Detection, ...]:
    """A detector that is always right: labels go through the whole decoding as outputs would."""
    settings = settings or DecodingSettings()
    maps, lines = batch_labels([regions], (-(-height // 4) * 4, -(-width // 4) * 4))
    found = components(maps.kernel[0].numpy(), settings)
    rectangles = as_rois(found, settings)
    labels = roi_labels(lines, torch.from_numpy(roi_rows([rectangles])), roi_size)
    geometry = labels.as_geometry().numpy()
    second = bands(labels.band.numpy(), geometry[:, 1:], settings.centre_line_threshold)
    return two_look_detections(found, rectangles, second, Original(width, height), settings)
